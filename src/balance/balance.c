/* SPDX-License-Identifier: Apache-2.0 */
/* balance/balance.c - stage 2: the ready instance with the least outstanding work. */
#include "balance/balance.h"

#include <string.h>

static uint64_t outstanding(const struct instance_view *v)
{
    return (uint64_t)v->n_active + v->n_waiting;
}

/* One pass: the k-th of several equals replaces the one held with probability
 * 1/k, which leaves each of them equally likely (Vitter 1985, algorithm R). */
void balance_pick(const struct instance_view *instances, size_t n_instances, const char *model,
                  uint64_t random, struct route *ret_route)
{
    const struct instance_view *best = NULL;
    uint64_t n_equal = 0;

    for (size_t i = 0; i < n_instances; i++) {
        const struct instance_view *v = &instances[i];

        if (!v->is_ready || strcmp(v->model, model) != 0)
            continue;
        if (!best || outstanding(v) < outstanding(best)) {
            best = v;
            n_equal = 1;
            continue;
        }
        if (outstanding(v) > outstanding(best))
            continue;
        n_equal++;
        if (random % n_equal == 0)
            best = v;
        random = random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX LCG */
    }
    *ret_route = (struct route){ .is_placed = best != NULL };
    if (!best)
        return;
    memcpy(ret_route->instance_id, best->id, sizeof(best->id));
    ret_route->driver = best->driver;
}
