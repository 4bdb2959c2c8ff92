/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward.h - one request that an upstream answers.
 *
 *   chosen --sent--> waiting --first event--> streaming --> answered
 *     ^                |                         |
 *     +---failed, may be tried elsewhere---------+ (a stream only where it can be resumed)
 *
 * The body goes there as it came, but for the model's name; the answer comes back as it is. An event is passed on
 * when all of it is there, so that a stream that breaks never ends in the middle of one.
 *
 * Until the first byte of the answer was passed on, a try that failed is repeated at another
 * upstream, or at an instance of this cluster, within a budget (balance/retry_budget.h). After that
 * only another Pomona can go on: each of its events says how many tokens it is at (gateway/dialect/repeat.h), and another
 * that serves the same model computes the same tokens. Else the stream ends with an error event.
 *
 * A request of another dialect than OpenAI's chat and completions goes as a chat, and what comes back is written in its
 * own dialect (translation.h).
 *
 * Nothing of the client's headers is passed on but those named in forward.c: no key, nothing hop-by-hop.
 */
#ifndef POMONA_FLOW_UPSTREAM_FORWARD_H
#define POMONA_FLOW_UPSTREAM_FORWARD_H

#include <jansson.h>
#include <stdbool.h>

#include "flow/upstream/pool.h"
#include "gateway/dialect/api_request.h"
#include "gateway/http/exchange.h"

/* What was asked. */
struct forward_request {
    const char *path;              /* "/v1/chat/completions" */
    const struct dialect *dialect; /* for an answer from here */
    const json_t *body;            /* borrowed */
};

/* False: it is to be answered here, and nothing was done. True: x is taken. */
bool forward_start(struct pool *pool, struct exchange *x, const struct forward_request *request);

/* The same of a request that its dialect parsed, and that is granted.  True: it is taken, too, copied. */
bool forward_translated(struct pool *pool, struct exchange *x, struct api_request *request);

#endif
