/* SPDX-License-Identifier: Apache-2.0 */
/* flow/exporter.h - the second door to the metrics: a port of its own, where no key is asked for.
 *
 * What is told there names no client and repeats none of their words, so who may watch a cluster needs no
 * key to use it.  A port that cannot be had is said in the log, and the node serves without: /metrics of
 * the API gives the same.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_EXPORTER_H
#define POMONA_FLOW_EXPORTER_H

#include <stdint.h>

#include "base/status.h"
#include "gateway/http/exchange.h"
#include "net/loop.h"

struct exporter;

/* show(arg, x)  answers a request for the metrics
 * Errors        ST_NOMEM; nothing listens yet */
enum status exporter_new(struct loop *loop, void (*show)(void *arg, struct exchange *x), void *arg,
                         struct exporter **ret_exporter, struct err *err);
void exporter_free(struct exporter *exporter); /* NULL is allowed */

/* Listen there and nowhere else.  host  numeric, copied; port  0: nowhere */
void exporter_listen(struct exporter *exporter, const char *host, uint16_t port);

#endif
