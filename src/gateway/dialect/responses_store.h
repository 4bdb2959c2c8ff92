/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_store.h - conversations that a later request goes on with.
 *
 * Bounded: STORED_MAX conversations of STORED_BYTES_MAX together, an hour each; the oldest go
 * first.  In memory alone: another node, and this one after a restart, knows none of them.
 * Each belongs to whoever made it: nobody else finds it.
 *
 * Threads  any
 */
#ifndef POMONA_GATEWAY_DIALECT_RESPONSES_STORE_H
#define POMONA_GATEWAY_DIALECT_RESPONSES_STORE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { STORED_MAX = 512, STORED_BYTES_MAX = 32 << 20, STORED_S = 3600 };

struct responses_store;

struct responses_store *responses_store_new(void);        /* NULL: no memory */
void responses_store_free(struct responses_store *store); /* NULL is allowed */

/* Keep `turns`, an array, copied.  What does not fit is not kept. */
void responses_store_put(struct responses_store *store, uint64_t tenant, const char *id,
                         const json_t *turns);

/* Given: json_decref(); NULL: it is not there, or not this tenant's. */
json_t *responses_store_get(struct responses_store *store, uint64_t tenant, const char *id);

#endif
