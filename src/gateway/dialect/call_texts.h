/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/call_texts.h - arguments of calls as the model wrote them, found by what they say.
 *
 * Some APIs give a call's arguments to the client as an object, which comes back with the next turn in
 * the client's own spelling: blanks, escapes.  Put into the prompt as the model spelled them, the
 * prompt begins with tokens that are in the cache.  Nothing but speed is lost where they are not found.
 *
 * Bounded: CALL_TEXTS_MAX of CALL_TEXTS_BYTES_MAX together; the oldest go first.  In memory alone.
 *
 * Threads  any
 */
#ifndef POMONA_GATEWAY_DIALECT_CALL_TEXTS_H
#define POMONA_GATEWAY_DIALECT_CALL_TEXTS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { CALL_TEXTS_MAX = 4096, CALL_TEXTS_BYTES_MAX = 8 << 20 };

struct call_texts;

struct call_texts *call_texts_new(void);        /* NULL: no memory */
void call_texts_free(struct call_texts *texts); /* NULL is allowed */

/* Keep `text` [n], copied, unless it is no object of JSON.
 * owner  the tenant; another's are not found
 * name   of the function */
void call_texts_put(struct call_texts *texts, uint64_t owner, const char *name, const char *text,
                    size_t n);

/* A text that says `arguments`, borrowed.  Given: free(); NULL: there is none, or no memory.
 * texts  NULL is allowed */
char *call_texts_get(struct call_texts *texts, uint64_t owner, const char *name,
                     const json_t *arguments);

#endif
