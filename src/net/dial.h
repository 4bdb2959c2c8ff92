/* SPDX-License-Identifier: Apache-2.0 */
/* net/dial.h - a race of connections (net/race.h) on an event loop.
 *
 * Threads  the loop's
 */
#ifndef POMONA_NET_DIAL_H
#define POMONA_NET_DIAL_H

#include "net/loop.h"
#include "net/race.h"

struct dial;

/* fd       the connected socket, which is the callee's; -1: every attempt failed
 * failure  errno of the last attempt, where fd is -1
 * refused  race_was_refused()
 * May call dial_free(). */
typedef void dial_fn(void *arg, int fd, int failure, bool refused);

/* fn follows once on the loop, never inside this call; when, is the owner's to bound.
 * race    as race_begin() left it; copied
 * Errors  ST_NOMEM */
enum status dial_new(struct loop *loop, const struct race *race, dial_fn *fn, void *arg,
                     struct dial **ret_dial, struct err *err);
void dial_free(struct dial *dial); /* NULL is allowed; fn is not called any more */

#endif
