/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/body.h - a request's body as an upstream gets it: as it came, under the model's name there.
 *
 * Pure.
 */
#ifndef POMONA_FLOW_UPSTREAM_BODY_H
#define POMONA_FLOW_UPSTREAM_BODY_H

#include <jansson.h>
#include <stddef.h>

#include "balance/policy.h"
#include "base/buf.h"

/* `text` [n] with the value of its "model" replaced.
 * text  was parsed to `body`: it is valid JSON, an object */
void body_with_model(const char *text, size_t n, const json_t *body, const char *model,
                     struct buf *out);

/* What a policy wants to know of it. session: a header's value, or NULL. */
struct balance_request body_measure(size_t n, const json_t *body, const char *session,
                                    double usual_answer_tokens);

/* Of how the prompt begins, for struct balance_request. */
uint64_t body_prefix(const json_t *body);

#endif
