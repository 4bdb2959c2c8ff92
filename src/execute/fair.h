/* SPDX-License-Identifier: Apache-2.0 */
/* execute/fair.h - how much each tenant was served, in computed tokens.
 *
 * The tenant that was served least goes next.  One that was away for a while
 * has no credit for it: it joins at the least served of those that are here.
 * One that left with a debt finds it again, as long as there is a place to
 * remember it.
 *
 * Threads  one owner thread, the driver's
 * Memory   nothing is allocated after fair_new()
 * Source   virtual token counters: Sheng et al. 2024, arXiv:2401.00588, section 4
 */
#ifndef POMONA_EXECUTE_FAIR_H
#define POMONA_EXECUTE_FAIR_H

#include <stdint.h>

#include "base/status.h"

struct fair;

/* max_members  sequences at once, and so tenants
 * Errors       ST_NOMEM */
enum status fair_new(uint32_t max_members, struct fair **ret_fair, struct err *err);
void fair_free(struct fair *fair); /* NULL is allowed */

/* A sequence of `tenant` is here; there are fewer than max_members.
 * Returns  the tenant's place, as long as a sequence of it is here */
uint32_t fair_join(struct fair *fair, uint64_t tenant);
void fair_leave(struct fair *fair, uint32_t place);

void fair_charge(struct fair *fair, uint32_t place, uint64_t n_tokens);
uint64_t fair_served(const struct fair *fair, uint32_t place);

#endif
