/* SPDX-License-Identifier: Apache-2.0 */
/* execute/speed/telling.h - what it costs to tell the tokens of a step, measured by telling some.
 *
 *   this thread --batch--> the driver's connections --TLS, loopback--> a client --write--> a reader
 *
 * A thread computes, a loop of its own sends, and a gateway's loop receives, as in a runner and its
 * node (execute/runner/gateways.h, execute/client.h: the same code).  All of them want the cores that
 * compute, so processor time is taken, of all threads and of the kernel for them; whoever else
 * runs on the machine meanwhile does not change it much.  The gateway's text and JSON are not in it.
 */
#ifndef POMONA_EXECUTE_SPEED_TELLING_H
#define POMONA_EXECUTE_SPEED_TELLING_H

#include "base/status.h"

/* Seconds that a step pays for telling whatever it has, and for each of its tokens.
 * Errors  ST_NOMEM, ST_IO; ST_DEADLINE  this machine is too busy */
enum status telling_time(double *ret_step_s, double *ret_token_s, struct err *err);

#endif
