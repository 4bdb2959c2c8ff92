/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upkeep_next.c - what is to be done about what is placed and what shall be. */
#include <string.h>

#include "flow/upkeep.h"

static const struct cluster_wanted *find_wanted(const struct cluster_wanted *wanted, size_t n,
                                                const char *model)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(wanted[i].model, model) == 0)
            return &wanted[i];
    return NULL;
}

static bool is_of(const struct cluster_instance *in, const char *model)
{
    return strcmp(in->view.model, model) == 0;
}

/* Those that leave are moved by their node (drain.h), so they are not missing; nor are they a
 * surplus beside the ones that replace them. */
static void count(const struct cluster_instance *instances, size_t n, const char *model,
                  size_t *ret_all, size_t *ret_staying)
{
    *ret_all = *ret_staying = 0;
    for (size_t i = 0; i < n; i++) {
        *ret_all += is_of(&instances[i], model);
        *ret_staying += is_of(&instances[i], model) && !instances[i].is_leaving;
    }
}

static uint32_t n_running(const struct cluster_instance *in)
{
    return in->view.n_active + in->view.n_waiting;
}

/* The idlest, and of several the one with the last id, so that leaders that follow one another
 * choose the same; the one chosen before stays chosen. */
static const struct cluster_instance *choose_surplus(const struct cluster_instance *instances,
                                                     size_t n, const char *model,
                                                     const char *leaving)
{
    const struct cluster_instance *best = NULL;

    for (size_t i = 0; i < n; i++) {
        const struct cluster_instance *in = &instances[i];

        if (in->state != INSTANCE_READY || in->is_leaving || !is_of(in, model))
            continue;
        if (strcmp(in->view.id, leaving) == 0)
            return in;
        if (!best || n_running(in) < n_running(best) ||
            (n_running(in) == n_running(best) && strcmp(in->view.id, best->view.id) > 0))
            best = in;
    }
    return best;
}

static struct upkeep_step leave(const struct cluster_wanted *wanted,
                                const struct cluster_instance *instances, size_t n,
                                const char *model, const char *leaving)
{
    const struct cluster_instance *in = choose_surplus(instances, n, model, leaving);

    if (!in) /* all are being placed: they are looked at once they are ready */
        return (struct upkeep_step){ .what = UPKEEP_NOTHING };
    return (struct upkeep_step){ .what = UPKEEP_LEAVE, .wanted = wanted, .instance = in };
}

struct upkeep_step upkeep_next(const struct cluster_wanted *wanted, size_t n_wanted,
                               const struct cluster_instance *instances, size_t n,
                               const char *leaving, bool (*may_place)(void *arg, const char *model),
                               void *arg)
{
    struct upkeep_step step = { .what = UPKEEP_NOTHING };

    for (size_t i = 0; i < n_wanted; i++) {
        const struct cluster_wanted *w = &wanted[i];
        size_t n_all, n_staying;

        count(instances, n, w->model, &n_all, &n_staying);
        if (n_all < w->n_copies && (!may_place || may_place(arg, w->model)))
            return (struct upkeep_step){ .what = UPKEEP_PLACE, .wanted = w, .copy = n_all };
        if (n_staying > w->n_copies && step.what == UPKEEP_NOTHING)
            step = leave(w->n_copies > 0 ? w : NULL, instances, n, w->model, leaving);
    }
    for (size_t i = 0; i < n; i++)
        if (instances[i].state == INSTANCE_READY && !instances[i].is_leaving &&
            !find_wanted(wanted, n_wanted, instances[i].view.model))
            return (struct upkeep_step){ .what = UPKEEP_KEEP, .instance = &instances[i] };
    return step;
}

bool upkeep_has_another(const struct cluster_instance *in, const struct cluster_instance *instances,
                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (instances[i].state == INSTANCE_READY && !instances[i].is_leaving &&
            is_of(&instances[i], in->view.model) &&
            strcmp(instances[i].view.id, in->view.id) != 0 &&
            instances[i].plan.kv_format == in->plan.kv_format &&
            instances[i].plan.activations == in->plan.activations &&
            instances[i].plan.sums == in->plan.sums)
            return true;
    return false;
}
