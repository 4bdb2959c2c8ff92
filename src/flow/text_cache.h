/* SPDX-License-Identifier: Apache-2.0 */
/* flow/text_cache.h - the tokenizers and templates of models in use.
 *
 * Reading them takes a second and blocks, so it is a background job; requests
 * for the same model wait for the one job.  At most TEXTS_IDLE_MAX that
 * nobody uses are kept, least recently used dropped first.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_TEXT_CACHE_H
#define POMONA_FLOW_TEXT_CACHE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"
#include "cluster/cluster.h"
#include "contract/model_info.h"
#include "net/loop.h"
#include "text/speech_format.h"
#include "text/template/template.h"
#include "text/tokenizer/tokenizer.h"

enum { TEXTS_IDLE_MAX = 4 };

struct text_cache;

/* Immutable once ready. */
struct text {
    struct tokenizer *tokenizer;
    struct template *template; /* NULL: the model has none, for the reason below */
    struct err template_err;
    struct speech_format speech;
    json_t *trusted; /* bos_token, eos_token */
};

/* Whoever waits keeps this until called, or until text_cache_forget(). */
struct text_waiter {
    void (*fn)(void *arg);
    void *arg;
    struct text *text; /* once called: given, text_cache_put(); NULL: see err */
    struct err err;
    struct text_waiter *next; /* the cache's */
    struct text_entry *entry; /* the cache's */
};

enum status text_cache_new(struct loop *loop, struct text_cache **ret_cache, struct err *err);

/* No waiter and no user may be left; a job still running frees the rest when
 * it ends.  NULL is allowed. */
void text_cache_free(struct text_cache *cache);

/* The text of `model`, whose file is `file`, copied: where it is on other nodes
 * only, its head is fetched from them.  Where the text is there: it is in
 * waiter->text and fn is not called.  Else waiter->text is NULL and fn is
 * called later, on the loop. */
enum status text_cache_get(struct text_cache *cache, const struct model_info *model,
                           const struct cluster_file *file, struct text_waiter *waiter,
                           struct err *err);
void text_cache_forget(struct text_cache *cache, struct text_waiter *waiter);

void text_cache_put(struct text_cache *cache, struct text *text); /* NULL is allowed */

/* No job is running. */
bool text_cache_is_idle(const struct text_cache *cache);

#endif
