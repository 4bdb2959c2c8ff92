/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/pending.h - logprobs that wait until the text of their token is given out.
 *
 * An entry belongs to the bytes of the choice's text that end at `end`.  It
 * leaves with the delta that gives out the last of them.
 */
#ifndef POMONA_AGGREGATE_PENDING_H
#define POMONA_AGGREGATE_PENDING_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/reply.h"
#include "contract/token_stream.h"
#include "text/tokenizer/tokenizer.h"

struct pending {
    struct reply_logprob *entries; /* [n]; top points into candidates once ready */
    uint64_t *ends;                /* [n] */
    struct reply_candidate *tops;  /* [n * top_max] */
    size_t n, capacity;
};

void pending_release(struct pending *p);

/* Remember the logprobs of `event`, whose text ends at `end`. */
enum status pending_add(struct pending *p, const struct tokenizer *tokenizer,
                        const struct token_event *event, uint64_t end, struct err *err);

/* How many entries, from the first, end at or before `end`; their `top` are valid until the next
 * call here. */
size_t pending_ready(struct pending *p, uint64_t end);
void pending_drop(struct pending *p, size_t n);

#endif
