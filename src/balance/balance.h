/* SPDX-License-Identifier: Apache-2.0 */
/* balance/balance.h - stage 2: which running instance answers.
 *
 * Pure: a snapshot and a random number in, a route out.
 */
#ifndef POMONA_BALANCE_BALANCE_H
#define POMONA_BALANCE_BALANCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/route.h"

/* Choose among the ready instances of `model`: least outstanding work
 * (n_active + n_waiting), ties broken by `random`.
 * ret_route  is_placed false where no instance is ready */
void balance_pick(const struct instance_view *instances, size_t n_instances, const char *model,
                  uint64_t random, struct route *ret_route);

#endif
