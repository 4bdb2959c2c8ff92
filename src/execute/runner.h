/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner.h - the process that holds one shard of one instance.
 *
 * Started by its node with one end of a socket pair; the messages are those of
 * contract/runner.proto.  An event-loop thread talks to the node and, on the
 * driver, to gateways; the main thread computes.  The two share bounded
 * queues only, so a long step never delays a cancel, and a slow gateway
 * never delays a step.
 *
 *   started --ShardAssign--> loading (listening already) --ShardConnect and loaded-->
 *   ready --error--> failed (ShardFailed sent, every generation told) --> exit
 *
 * Steps and sampling allocate nothing.  Telling tokens does: for each step and
 * gateway one batch, of a token for each running sequence at most, which
 * the event-loop thread frees once it is in the socket's bounded queue.
 *
 * The control socket closing ends the process at once, whatever it does: a
 * node's death leaves no runner behind.
 */
#ifndef POMONA_EXECUTE_RUNNER_H
#define POMONA_EXECUTE_RUNNER_H

#include "base/status.h"

/* Run until the node closes `control_fd` (ST_OK) or the shard fails. */
enum status runner_main(int control_fd, struct err *err);

#endif
