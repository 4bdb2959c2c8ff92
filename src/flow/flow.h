/* SPDX-License-Identifier: Apache-2.0 */
/* flow/flow.h - one request on its way through the stages.
 *
 * A flow is made for each accepted request and ends by itself: answered,
 * failed, or left by its client.
 */
#ifndef POMONA_FLOW_FLOW_H
#define POMONA_FLOW_FLOW_H

#include <stdbool.h>

#include "gateway/dialect/api_request.h"
#include "gateway/http/exchange.h"

struct flow;
struct service;

/* x        taken
 * request  taken, copied */
void flow_start(struct service *service, struct exchange *x, struct api_request *request);

struct flow *flow_next(const struct flow *f); /* of the service's flows; NULL at the end */

/* Is `id` that of its answer? */
bool flow_is_called(const struct flow *f, const char *id);

uint64_t flow_owner(const struct flow *f); /* as access_tenant() */

/* Is it the response of that id, of this owner?  Then it ends, and `out` has what became of it. */
bool flow_cancel_response(struct flow *f, const char *id, uint64_t owner, struct buf *out);

/* Called every now and then: deadlines, keep-alive comments. */
void flow_tick(struct flow *f, uint64_t now_ns);

/* End it with this error. */
void flow_abort(struct flow *f, const struct api_error *e);

/* End it without a word: the service goes. */
void flow_free(struct flow *f);

#endif
