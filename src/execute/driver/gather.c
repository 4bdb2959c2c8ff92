/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/gather.c - logits of a team's members become rows of all tokens.
 *
 * Each member has some rows of the output matrix, so some columns of the logits: they come
 * packed, and are laid out where they belong.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "contract/portion.h"
#include "execute/driver/driver_priv.h"

struct gather {
    uint32_t n_members, first_rank;
    struct portion portions[PORTION_MEMBERS_MAX];
    float *own;    /* [max_logit_rows][n_outputs of the driver] */
    float *theirs; /* the same of one other member, the largest */
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

enum status gather_new(const struct driver *d, struct gather **ret_gather, struct err *err)
{
    const uint32_t team = d->lineup.n_teams - 1;
    struct gather *g = calloc(1, sizeof(*g));
    size_t widest = 0;
    enum status s;

    if (!g)
        return err_set(err, ST_NOMEM, "logits of a team");
    g->n_members = lineup_size(&d->lineup, team);
    g->first_rank = d->lineup.first[team];
    memcpy(g->portions, d->o.portions, g->n_members * sizeof(*g->portions));
    s = check(d, g, err);
    if (s != ST_OK) {
        gather_free(g);
        return s;
    }
    for (uint32_t i = 0; i < g->n_members; i++)
        widest = size_max(widest, g->portions[i].n_outputs);
    g->own = calloc((size_t)d->o.max_logit_rows * g->portions[g->n_members - 1].n_outputs,
                    sizeof(*g->own));
    g->theirs = calloc(d->o.max_logit_rows * widest, sizeof(*g->theirs));
    if (!g->own || !g->theirs) {
        gather_free(g);
        return err_set(err, ST_NOMEM, "logits of a team");
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
    free(g);
}

float *gather_own(struct gather *g)
{
    return g->own;
}

static void lay_out(const struct driver *d, const struct portion *p, const float *from,
                    uint32_t n_rows)
{
    for (uint32_t row = 0; row < n_rows; row++)
        memcpy(d->logits + (size_t)row * d->o.n_vocab + p->first_output,
               from + (size_t)row * p->n_outputs, p->n_outputs * sizeof(*from));
}

enum status gather_logits(struct driver *d, uint32_t n_rows, uint64_t deadline_ns, struct err *err)
{
    struct gather *g = d->gather;
    enum status s = ST_OK;

    lay_out(d, &g->portions[g->n_members - 1], g->own, n_rows);
    for (uint32_t i = 0; s == ST_OK && n_rows > 0 && i + 1 < g->n_members; i++) {
        const size_t n_bytes = (size_t)n_rows * g->portions[i].n_outputs * sizeof(*g->theirs);

        s = transport_recv(d->o.ring, g->first_rank + i, g->theirs, n_bytes, deadline_ns, err);
        if (s == ST_OK)
            lay_out(d, &g->portions[i], g->theirs, n_rows);
    }
    return s;
}
