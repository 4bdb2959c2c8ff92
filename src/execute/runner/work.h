/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/work.h - the computing thread of a runner.
 *
 *   wait for the assignment -> check the model -> join the ring -> load -> follow or drive
 *
 * A part of the file that this node lacks is fetched first, and only then does the runner say
 * that it listens: the ranks connect when all have their parts.
 *
 * The ring is joined before the weights are read: a rank that dies while
 * others load is noticed, and joining needs no long deadline.
 *
 * Threads  its own, the main thread of the process
 */
#ifndef POMONA_EXECUTE_RUNNER_WORK_H
#define POMONA_EXECUTE_RUNNER_WORK_H

#include "execute/runner/orders.h"
#include "execute/runner/pulse.h"
#include "execute/runner/reports.h"
#include "execute/shard/traced.h"

/* pulse  felt with every step
 * traced  told of every step of a rank that does not drive
 * ret_cut  the link that let nothing through, where that was the cause
 * Returns only with an error, whose words are for the node and the gateways. */
enum status work_run(struct orders *orders, const struct reporter *reporter, struct pulse *pulse,
                     struct traced *traced, struct transport_cut *ret_cut, struct err *err);

#endif
