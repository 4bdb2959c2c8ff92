/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/follower.c - what every rank but the driver does, until the instance ends. */
#include "execute/shard/follower.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "execute/sample/best.h"

struct follower {
    const struct follower_options *o;
    struct lineup lineup;
    uint32_t team;
    bool is_last; /* its team has the output matrix */
    struct step_wire *wire;
    float *hidden;         /* [max_rows][n_hidden] */
    float *logits;         /* [max_logit_rows][n_outputs]; NULL: none */
    float *scratch;        /* [n_outputs] */
    unsigned char *wanted; /* of all rows, as best_bytes_max() */
};

static enum status send_logits(const struct follower *f, const struct engine_batch *batch,
                               struct err *err)
{
    const uint32_t n_outputs = f->o->n_outputs;
    size_t n_bytes = 0;

    for (uint32_t i = 0; i < batch->n_logit_rows; i++) {
        const float *row = f->logits + (size_t)i * n_outputs;
        const uint32_t ask = batch->asks[i];

        if (ask == 0)
            memcpy(f->wanted + n_bytes, row, best_bytes(0, n_outputs));
        else
            best_pick(row, n_outputs, f->o->first_output, ask, f->scratch, f->wanted + n_bytes);
        n_bytes += best_bytes(ask, n_outputs);
    }
    if (n_bytes == 0)
        return ST_OK;
    return transport_send(f->o->ring, lineup_n_ranks(&f->lineup) - 1, f->wanted, n_bytes,
                          deadline_after_ms(f->o->step_deadline_ms), err);
}

/* To those of the next team that get their steps from this rank. */
static enum status pass_on(const struct follower *f, uint64_t number,
                           const struct engine_batch *batch, struct err *err)
{
    const uint64_t deadline_ns = deadline_after_ms(f->o->step_deadline_ms);
    const struct lineup *l = &f->lineup;
    enum status s = ST_OK;

    step_set_trace(f->wire, step_trace(f->wire));
    for (uint32_t to = l->first[f->team + 1]; s == ST_OK && to < l->first[f->team + 2]; to++)
        if (lineup_source(l, to) == f->o->ring->rank)
            s = step_send(f->wire, f->o->ring, to, number, batch, deadline_ns, err);
    return s;
}

static enum status follow_one(struct follower *f, struct err *err)
{
    const struct follower_options *o = f->o;
    struct engine_batch batch, mine;
    uint64_t number, begin_ns;
    enum status s;

    s = step_recv(f->wire, o->ring, lineup_source(&f->lineup, o->ring->rank), DEADLINE_NEVER,
                  o->step_deadline_ms, &number, &batch, err);
    if (s != ST_OK)
        return s;
    if ((batch.tokens != NULL) != (f->team == 0))
        return err_set(err, ST_FORMAT, "rank %u got a step of the wrong kind", o->ring->rank);

    mine = batch;
    if (!f->is_last)
        mine.n_logit_rows = 0;
    begin_ns = clock_ns();
    s = o->shard->type->step(o->shard, &mine, f->is_last ? NULL : f->hidden, f->logits, err);
    if (s != ST_OK)
        return s;
    if (o->traced)
        traced_step(o->traced, step_trace(f->wire), &batch, begin_ns, clock_ns());
    if (f->is_last)
        return send_logits(f, &mine, err);
    batch.tokens = NULL;
    batch.hidden = f->hidden;
    return pass_on(f, number, &batch, err);
}

static enum status follower_init(struct follower *f, struct err *err)
{
    const struct follower_options *o = f->o;
    enum status s = ST_OK;

    if (o->lineup)
        f->lineup = *o->lineup;
    else
        s = lineup_init(&f->lineup, NULL, o->ring->n_ranks, err);
    if (s != ST_OK)
        return s;
    f->team = lineup_team(&f->lineup, o->ring->rank);
    f->is_last = f->team + 1 == f->lineup.n_teams;
    f->hidden = calloc((size_t)o->limits.max_rows * o->limits.n_hidden, sizeof(*f->hidden));
    if (f->is_last) {
        f->logits = calloc((size_t)o->limits.max_logit_rows * o->n_outputs + 1, sizeof(*f->logits));
        f->scratch = calloc((size_t)o->n_outputs + 1, sizeof(*f->scratch));
        f->wanted = calloc(o->limits.max_logit_rows + 1, best_bytes_max(o->n_outputs) + 1);
    }
    if (!f->hidden || (f->is_last && (!f->logits || !f->scratch || !f->wanted)))
        return err_set(err, ST_NOMEM, "hidden rows and logits of a follower");
    return step_wire_new(&o->limits, &f->wire, err);
}

enum status follower_run(const struct follower_options *o, struct err *err)
{
    struct follower f = { .o = o };
    enum status s = follower_init(&f, err);

    while (s == ST_OK)
        s = follow_one(&f, err);
    step_wire_free(f.wire);
    free(f.hidden);
    free(f.logits);
    free(f.scratch);
    free(f.wanted);
    return s;
}
