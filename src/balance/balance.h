/* SPDX-License-Identifier: Apache-2.0 */
/* balance/balance.h - stage 2: which running instance answers.
 *
 * Pure: a snapshot and a random number in, a route out.  What decides is a policy (policy.h).
 */
#ifndef POMONA_BALANCE_BALANCE_H
#define POMONA_BALANCE_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "balance/policy.h"
#include "base/status.h"
#include "contract/route.h"

/* An instance as a policy sees it. */
struct balance_candidate balance_candidate_of(const struct instance_view *v);

/* Choose among the ready instances of `model`; BALANCE_MAX of them are looked at.
 * ret_route  is_placed false where no instance is ready */
enum { BALANCE_MAX = 256 };
void balance_pick(const struct balance_policy *policy, const struct instance_view *instances,
                  size_t n_instances, const char *model, const struct balance_request *request,
                  struct route *ret_route);

#endif
