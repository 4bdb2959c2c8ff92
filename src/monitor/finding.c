/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/finding.c - the state of one check of one subject. */
#include "monitor/finding.h"

#include <assert.h>
#include <math.h>

#include "base/clock.h"

static const struct state {
    const char *word;
    unsigned successors; /* bits of enum finding_state */
} states[] = {
#define TO(state) 1u << FINDING_##state
    [FINDING_UNKNOWN] = { "unknown", TO(OK) | TO(WARNING) | TO(CRITICAL) },
    [FINDING_OK] = { "ok", TO(WARNING) | TO(CRITICAL) | TO(UNKNOWN) },
    [FINDING_WARNING] = { "warning", TO(OK) | TO(CRITICAL) | TO(UNKNOWN) },
    [FINDING_CRITICAL] = { "critical", TO(OK) | TO(WARNING) | TO(UNKNOWN) },
#undef TO
};

const char *finding_state_word(enum finding_state state)
{
    return states[state].word;
}

bool finding_may_follow(enum finding_state from, enum finding_state to)
{
    return (states[from].successors & 1u << to) != 0;
}

static bool is_beyond(const struct check *check, double value, double threshold)
{
    return check->sense == BAD_ABOVE ? value >= threshold : value < threshold;
}

/* Is it as bad as `threshold` says, for a state that is that bad already or not? */
static bool is_as_bad(const struct check *check, double value, double threshold, bool already)
{
    const double margin = already ? fabs(threshold) * FINDING_HYSTERESIS : 0;

    return is_beyond(check, value,
                     check->sense == BAD_ABOVE ? threshold - margin : threshold + margin);
}

static enum finding_state level(const struct finding *f, const struct check *check, double value)
{
    if (is_as_bad(check, value, check->critical, f->state == FINDING_CRITICAL))
        return FINDING_CRITICAL;
    if (is_as_bad(check, value, check->warning,
                  f->state == FINDING_CRITICAL || f->state == FINDING_WARNING))
        return FINDING_WARNING;
    return FINDING_OK;
}

static bool move(struct finding *f, enum finding_state to, uint64_t now_ns,
                 enum finding_state *ret_from)
{
    assert(finding_may_follow(f->state, to));
    *ret_from = f->state;
    f->state = f->next = to;
    f->since_ns = f->next_since_ns = now_ns;
    return true;
}

static bool has_held(const struct finding *f, double seconds, uint64_t now_ns)
{
    return (double)(now_ns - f->next_since_ns) >= seconds * (double)NS_PER_S;
}

/* From `next`, which may be worse yet: a rise to critical that was one to warning before keeps its time. */
static void aim(struct finding *f, enum finding_state to, uint64_t now_ns)
{
    const bool rises = to > f->state;
    const bool goes_on = f->next != f->state && (f->next > f->state) == rises;

    if (!goes_on || f->next > to)
        f->next_since_ns = now_ns;
    f->next = to;
}

bool finding_observe(struct finding *f, const struct check *check, double value, uint64_t now_ns,
                     enum finding_state *ret_from)
{
    const enum finding_state to = level(f, check, value);

    f->value = value;
    f->seen_ns = now_ns;
    if (to == f->state) {
        f->next = to;
        return false;
    }
    if (f->next != to)
        aim(f, to, now_ns);
    if (f->state == FINDING_UNKNOWN && to == FINDING_OK)
        return move(f, to, now_ns, ret_from);
    if (!has_held(f, to > f->state ? check->for_s : check->clear_s, now_ns))
        return false;
    return move(f, to, now_ns, ret_from);
}

bool finding_age(struct finding *f, double stale_s, uint64_t now_ns, enum finding_state *ret_from)
{
    if (f->state == FINDING_UNKNOWN || (double)(now_ns - f->seen_ns) < stale_s * (double)NS_PER_S)
        return false;
    return move(f, FINDING_UNKNOWN, now_ns, ret_from);
}
