/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/succession.c - the first of those alive leads. */
#include "cluster/election/succession.h"

#include <string.h>

#include "cluster/state/desired_wire.h"

void succession_release(struct succession *s)
{
    desired_release(&s->desired);
}

/* Records that a council decided may be of a later epoch than any that was told. */
static void rise(struct succession *s)
{
    for (size_t i = 0; i < s->desired.n; i++) {
        const uint64_t epoch = s->desired.records[i].version.epoch;

        if (epoch > s->epoch && epoch < UINT64_MAX)
            s->epoch = epoch;
    }
}

bool succession_stand(struct succession *s, enum succession_place place)
{
    if (place == SUCCESSION_LATER) {
        s->led = 0;
        return false;
    }
    rise(s);
    if (s->led != 0 && s->led == s->epoch)
        return false;
    s->led = ++s->epoch;
    s->index = 0;
    return true;
}

enum status succession_receive(struct succession *s, const Wire__Roll *roll, bool *ret_changed,
                               struct err *err)
{
    if (roll->epoch == UINT64_MAX) /* none could follow it */
        return err_set(err, ST_FORMAT, "a message names an epoch that cannot be");
    if (roll->epoch > s->epoch) {
        s->epoch = roll->epoch;
        *ret_changed = true;
    }
    return desired_from_wire(&s->desired, roll->state, ret_changed, err);
}

enum status succession_decide(struct succession *s, const char *model, const uint8_t *value,
                              size_t n_value, struct err *err)
{
    struct desired_record record = { .version = { s->led, s->index + 1 },
                                     .is_placed = value != NULL,
                                     .n_value = value ? n_value : 0,
                                     .value = (uint8_t *)value };
    bool is_changed = false;
    enum status status;

    if (s->led == 0)
        return err_set(err, ST_PEER, "another node leads");
    if (value && desired_n_placed(&s->desired) >= DESIRED_PLACED_MAX &&
        !desired_find(&s->desired, model))
        return err_set(err, ST_FULL, "%d models are placed already; unplace one first",
                       DESIRED_PLACED_MAX);
    if (strlen(model) >= sizeof(record.model))
        return err_set(err, ST_RANGE, "the model's name is too long");
    memcpy(record.model, model, strlen(model) + 1);
    status = desired_merge(&s->desired, &record, &is_changed, err);
    if (status == ST_OK)
        s->index++;
    return status;
}
