/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/gather.c - logits of a team's members become what the sampler needs.
 *
 * Each member has some rows of the output matrix, so some columns of the logits.  Of a row it
 * sends what the step asks for: the largest, which are merged (sample/best.h), or all, which are laid out
 * where they belong.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "contract/portion.h"
#include "execute/driver/driver_priv.h"
#include "execute/sample/best.h"

struct gather {
    uint32_t n_members, first_rank;
    struct portion portions[PORTION_MEMBERS_MAX];
    float *own;             /* [max_logit_rows][n_outputs of the driver] */
    unsigned char *theirs;  /* what one member sends of all rows, the driver's own of one row */
    float *scratch;         /* [n_outputs of the driver] */
    struct best_list *best; /* [max_logit_rows] */
    bool *is_whole;         /* [max_logit_rows] */
};

static enum status check(const struct driver *d, const struct gather *g, struct err *err)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < g->n_members; i++) {
        if (g->portions[i].first_output != next || g->portions[i].n_outputs > d->o.n_vocab - next)
            return err_set(err, ST_RANGE, "the portions of a team do not follow one another");
        next += g->portions[i].n_outputs;
    }
    if (next != d->o.n_vocab)
        return err_set(err, ST_RANGE, "the portions of a team hold %u of %u tokens", next,
                       d->o.n_vocab);
    return ST_OK;
}

static enum status allocate(struct gather *g, size_t n_rows)
{
    const uint32_t n_own = g->portions[g->n_members - 1].n_outputs;
    size_t n_bytes = 0;

    for (uint32_t i = 0; i < g->n_members; i++)
        n_bytes = size_max(n_bytes, best_bytes_max(g->portions[i].n_outputs));
    g->own = calloc(n_rows * n_own, sizeof(*g->own));
    g->theirs = calloc(n_rows, n_bytes);
    g->scratch = calloc(n_own, sizeof(*g->scratch));
    g->best = calloc(n_rows, sizeof(*g->best));
    g->is_whole = calloc(n_rows, sizeof(*g->is_whole));
    return g->own && g->theirs && g->scratch && g->best && g->is_whole ? ST_OK : ST_NOMEM;
}

enum status gather_new(const struct driver *d, struct gather **ret_gather, struct err *err)
{
    const uint32_t team = d->lineup.n_teams - 1;
    struct gather *g = calloc(1, sizeof(*g));
    enum status s;

    if (!g)
        return err_set(err, ST_NOMEM, "logits of a team");
    g->n_members = lineup_size(&d->lineup, team);
    g->first_rank = d->lineup.first[team];
    memcpy(g->portions, d->o.portions, g->n_members * sizeof(*g->portions));
    s = check(d, g, err);
    if (s == ST_OK && allocate(g, d->o.max_logit_rows) != ST_OK)
        s = err_set(err, ST_NOMEM, "logits of a team");
    if (s != ST_OK) {
        gather_free(g);
        return s;
    }
    *ret_gather = g;
    return ST_OK;
}

void gather_free(struct gather *g)
{
    if (!g)
        return;
    free(g->own);
    free(g->theirs);
    free(g->scratch);
    free(g->best);
    free(g->is_whole);
    free(g);
}

float *gather_own(struct gather *g)
{
    return g->own;
}

const struct best_list *gather_best(const struct gather *g, uint32_t row)
{
    return g->is_whole[row] ? NULL : &g->best[row];
}

static void lay_out(const struct driver *d, const struct portion *p, uint32_t row, const void *from)
{
    memcpy(d->logits + (size_t)row * d->o.n_vocab + p->first_output, from,
           best_bytes(0, p->n_outputs));
}

static void begin(struct gather *g, const struct engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->n_logit_rows; i++) {
        g->is_whole[i] = batch->asks[i] == 0;
        best_clear(&g->best[i]);
    }
}

/* What a member of portion p sent of all rows. */
static void take(struct driver *d, const struct portion *p, const struct engine_batch *batch)
{
    struct gather *g = d->gather;
    const unsigned char *from = g->theirs;

    for (uint32_t i = 0; i < batch->n_logit_rows; i++) {
        if (g->is_whole[i])
            lay_out(d, p, i, from);
        else
            best_merge(&g->best[i], from, p->n_outputs, p->first_output, batch->asks[i]);
        from += best_bytes(batch->asks[i], p->n_outputs);
    }
}

static void take_own(struct driver *d, const struct engine_batch *batch)
{
    struct gather *g = d->gather;
    const struct portion *p = &g->portions[g->n_members - 1];

    for (uint32_t i = 0; i < batch->n_logit_rows; i++) {
        const float *row = g->own + (size_t)i * p->n_outputs;

        if (g->is_whole[i]) {
            lay_out(d, p, i, row);
            continue;
        }
        best_pick(row, p->n_outputs, p->first_output, batch->asks[i], g->scratch, g->theirs);
        best_merge(&g->best[i], g->theirs, p->n_outputs, p->first_output, batch->asks[i]);
    }
}

enum status gather_logits(struct driver *d, const struct engine_batch *batch, uint64_t deadline_ns,
                          struct err *err)
{
    struct gather *g = d->gather;
    enum status s = ST_OK;

    begin(g, batch);
    take_own(d, batch);
    for (uint32_t i = 0; s == ST_OK && batch->n_logit_rows > 0 && i + 1 < g->n_members; i++) {
        size_t n_bytes = 0;

        for (uint32_t row = 0; row < batch->n_logit_rows; row++)
            n_bytes += best_bytes(batch->asks[row], g->portions[i].n_outputs);
        s = transport_recv(d->o.ring, g->first_rank + i, g->theirs, n_bytes, deadline_ns, err);
        if (s == ST_OK)
            take(d, &g->portions[i], batch);
    }
    return s;
}
