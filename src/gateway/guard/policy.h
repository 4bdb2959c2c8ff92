/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/policy.h - what each address needs of who asks, and how it words errors.
 *
 * To guard an address: a row of policies[].  One without a row needs the scope "chat".
 */
#ifndef POMONA_GATEWAY_GUARD_POLICY_H
#define POMONA_GATEWAY_GUARD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/http/api_error.h"

struct policy {
    const char *path; /* of a route; one that ends in "/" means all below it */
    bool is_public;
    uint32_t scopes;                  /* of which one is needed; SCOPE_* */
    const struct error_shape *errors; /* NULL: OpenAI's */
};

/* route_path  as in routes[]: without /v1 */
const struct policy *policy_find(const char *route_path);

#endif
