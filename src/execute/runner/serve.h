/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/serve.h - the driver's loop: orders in, steps, tokens out.
 *
 * Orders are taken between steps, so a cancel waits for one step at most and
 * its pages are free before the next.
 *
 * Threads  the computing thread
 */
#ifndef POMONA_EXECUTE_RUNNER_SERVE_H
#define POMONA_EXECUTE_RUNNER_SERVE_H

#include "execute/runner/orders.h"
#include "execute/runner/reports.h"

/* Returns only with an error. */
enum status serve_run(const struct driver_options *options, struct orders *orders,
                      const struct reporter *reporter, struct err *err);

#endif
