/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/pools.h - the pool in force, and those before it that have requests under way yet.
 *
 *   pools_take(other settings): new requests go by them, those under way end where they are
 *   pools_take(the same):       nothing happens; settings are read again for keys and limits, too
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_UPSTREAM_POOLS_H
#define POMONA_FLOW_UPSTREAM_POOLS_H

#include "flow/upstream/pool.h"

struct pools;

/* Errors  as pool_new() */
enum status pools_new(struct loop *loop, struct api_gateway *config,
                      const struct pool_locals *locals, struct pools **ret_pools, struct err *err);
void pools_free(struct pools *pools); /* NULL is allowed */

/* Errors  as pool_new(); then nothing changed */
enum status pools_take(struct pools *pools, struct api_gateway *config, struct err *err);

struct pool *pools_now(const struct pools *pools);
/* End the answer of this id, if who asks by `x` may; of those that were translated, as others have ids of where
 * they come from.  False: there is none. */
bool pools_cancel(struct pools *pools, const struct exchange *x, const char *id);

size_t pools_n_running(const struct pools *pools); /* requests, of all */
void pools_abort(struct pools *pools);             /* end them */

#endif
