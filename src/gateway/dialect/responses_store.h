/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_store.h - responses that are asked for again, or gone on with.
 *
 * Bounded: STORED_MAX records of STORED_BYTES_MAX together, an hour each; the oldest go first.  In
 * memory alone: another node, and this one after a restart, knows none of them.  Each belongs to
 * whoever made it: nobody else finds it.
 *
 * A record is {"response": as it was answered, "input": [its items, each with an id], "turns": [what
 * was said so far, as messages], "user": the end user, as a number}.
 *
 * Threads  any
 */
#ifndef POMONA_GATEWAY_DIALECT_RESPONSES_STORE_H
#define POMONA_GATEWAY_DIALECT_RESPONSES_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORED_MAX = 512, STORED_BYTES_MAX = 32 << 20, STORED_S = 3600 };

struct responses_store;

struct responses_store *responses_store_new(void);        /* NULL: no memory */
void responses_store_free(struct responses_store *store); /* NULL is allowed */

/* Keep `record`, copied.  What does not fit is not kept.
 * owner  the tenant as the guard knows it; 0: it asks nobody */
void responses_store_put(struct responses_store *store, uint64_t owner, const char *id,
                         const json_t *record);

/* Given: json_decref(); NULL: it is not there, or not this owner's. */
json_t *responses_store_get(struct responses_store *store, uint64_t owner, const char *id);

/* False: it is not there, or not this owner's. */
bool responses_store_drop(struct responses_store *store, uint64_t owner, const char *id);

#endif
