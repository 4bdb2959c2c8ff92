/* SPDX-License-Identifier: Apache-2.0 */
/* flow/drain.h - this node is to hold nothing: what it holds is moved away.
 *
 *   one instance at a time, of those with a shard here:
 *   held --another is ready--> left --nothing runs on it, or DRAIN_LEAVE_MS--> ended
 *
 * The other is planned on nodes that do not drain, beside the old one; so it is ready before
 * the old one ends, and requests hardly pause: new ones go to it, and those that still run when
 * their instance ends go on there (flow.c).  Where the two do not fit beside each other, the old
 * one ends first and requests wait for the other.  Where it does not fit at all, nothing is ended,
 * and it is tried again.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_DRAIN_H
#define POMONA_FLOW_DRAIN_H

#include "base/status.h"

struct drain;
struct service;

enum status drain_new(struct service *service, struct drain **ret_drain, struct err *err);
void drain_free(struct drain *drain); /* NULL is allowed */

/* Called every now and then. */
void drain_tick(struct drain *drain);

#endif
