/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/stall.c - which instance computes nothing though it is asked, and which answers are wrong. */
#include "monitor/stall.h"

#include <string.h>

#include "base/clock.h"

static struct stall_instance *find(struct stall *stall, const char *id)
{
    for (size_t i = 0; i < stall->n; i++)
        if (strcmp(stall->instances[i].id, id) == 0)
            return &stall->instances[i];
    return NULL;
}

static void learn_one(struct stall *stall, const struct remote_instance *in, uint64_t now_ns)
{
    struct stall_instance *known = find(stall, in->id);

    if (!known && stall->n < STALL_INSTANCES_MAX) {
        known = &stall->instances[stall->n++];
        *known = (struct stall_instance){ .moved_ns = now_ns };
        memcpy(known->id, in->id, sizeof(known->id));
        memcpy(known->model, in->model, sizeof(known->model));
        known->n_generated = in->n_generated;
    }
    if (!known)
        return;
    known->seen_ns = now_ns;
    known->is_busy = in->n_active + in->n_waiting > 0;
    if (in->n_generated > known->n_generated) {
        known->n_generated = in->n_generated;
        known->moved_ns = now_ns;
    }
}

void stall_learn(struct stall *stall, const struct remote_state *state, uint64_t forget_ns,
                 uint64_t now_ns)
{
    for (size_t i = 0; i < state->n_instances; i++)
        if (state->instances[i].is_ready)
            learn_one(stall, &state->instances[i], now_ns);
    for (size_t i = 0; i < stall->n;) {
        if (now_ns - stall->instances[i].seen_ns > forget_ns)
            stall->instances[i] = stall->instances[--stall->n];
        else
            i++;
    }
}

/* Is it the one that the canary may be waiting for? */
static bool is_meant(const struct stall *stall, size_t at, uint64_t canary_ns)
{
    const struct stall_instance *in = &stall->instances[at];

    if (in->is_busy)
        return true;
    for (size_t i = 0; i < stall->n; i++) {
        const struct stall_instance *other = &stall->instances[i];

        if (i == at || strcmp(other->model, in->model) != 0 || other->moved_ns > canary_ns)
            continue;
        if (other->is_busy || i < at)
            return false;
    }
    return true;
}

double stall_seconds(const struct stall *stall, size_t at, uint64_t canary_ns, uint64_t now_ns)
{
    const struct stall_instance *in = &stall->instances[at];
    const uint64_t since_ns = in->moved_ns > canary_ns ? in->moved_ns : canary_ns;

    if (canary_ns == 0 || !is_meant(stall, at, canary_ns))
        return 0;
    return (double)(now_ns - since_ns) / (double)NS_PER_S;
}

unsigned canary_judge(struct canary_memory *m, uint64_t signature, size_t n_kinds,
                      uint64_t answer_hash, bool is_expected)
{
    if (m->signature != signature)
        *m = (struct canary_memory){ .signature = signature };
    if (!is_expected)
        return ++m->n_wrong;
    for (size_t i = 0; i < m->n; i++)
        if (m->answers[i] == answer_hash)
            return m->n_wrong = 0;
    if (m->n < n_kinds && m->n < CANARY_ANSWERS_MAX) {
        m->answers[m->n++] = answer_hash;
        return m->n_wrong = 0;
    }
    return ++m->n_wrong;
}
