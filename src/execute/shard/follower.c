/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/follower.c - what every rank but the driver does, until the instance ends. */
#include "execute/shard/follower.h"

#include <stdlib.h>

#include "base/clock.h"

static enum status follow_one(const struct follower_options *o, struct step_wire *wire,
                              float *hidden, struct err *err)
{
    const uint32_t rank = o->ring->rank;
    const uint32_t before = rank > 0 ? rank - 1 : o->ring->n_ranks - 1;
    struct engine_batch batch;
    uint64_t number;
    enum status s;

    s = step_recv(wire, o->ring, before, DEADLINE_NEVER, o->step_deadline_ms, &number, &batch, err);
    if (s != ST_OK)
        return s;
    if ((batch.tokens != NULL) != (rank == 0))
        return err_set(err, ST_FORMAT, "rank %u got a step of the wrong kind", rank);

    s = o->shard->type->step(o->shard, &batch, hidden, NULL, err);
    if (s != ST_OK)
        return s;
    batch.tokens = NULL;
    batch.hidden = hidden;
    return step_send(wire, o->ring, rank + 1, number, &batch,
                     deadline_after_ms(o->step_deadline_ms), err);
}

enum status follower_run(const struct follower_options *o, struct err *err)
{
    struct step_wire *wire = NULL;
    float *hidden;
    enum status s;

    hidden = calloc((size_t)o->limits.max_rows * o->limits.n_hidden, sizeof(*hidden));
    if (!hidden) {
        s = err_set(err, ST_NOMEM, "hidden rows of a follower");
        goto out;
    }
    s = step_wire_new(&o->limits, &wire, err);
    while (s == ST_OK)
        s = follow_one(o, wire, hidden, err);

out:
    step_wire_free(wire);
    free(hidden);
    return s;
}
