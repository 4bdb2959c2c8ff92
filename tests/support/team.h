/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/team.h - the ranks of a team inside one test process: transports, sums, shards. */
#ifndef POMONA_TESTS_SUPPORT_TEAM_H
#define POMONA_TESTS_SUPPORT_TEAM_H

#include "execute/collective.h"
#include "model/model.h"
#include "support/ring.h"

struct team {
    uint32_t n;
    const struct model *model; /* for whoever opens members */
    uint32_t n_open;
    struct transport **ends; /* [n], of ranks first_rank.. */
    struct collective *sums[RING_RANKS_MAX];
    struct portion portions[RING_RANKS_MAX];
    struct shard_weights weights[RING_RANKS_MAX];
    struct engine_shard *shards[RING_RANKS_MAX];
};

/* What a team holds. */
struct team_layers {
    const struct model *model;
    const uint32_t *shares;
    uint32_t first_rank, first_layer, n_layers;
    enum sum_format sums;
};

/* Open the shard of member `i`, whose transport is ends[i], rank first_rank + i. */
static inline struct engine_shard *team_open_member(struct team *t, const struct team_layers *of,
                                                    uint32_t i, const struct engine_options *like)
{
    const struct collective_options c = {
        .ring = t->ends[i],
        .first_rank = of->first_rank,
        .n_members = t->n,
        .deadline_ms = 60000,
        .format = of->sums,
    };
    struct engine_options options = *like;
    struct err err = { 0 };

    assert_ok(model_portion(of->model, of->shares, t->n, i, &t->portions[i], &err), err);
    assert_ok(model_shard_of(of->model, of->first_layer, of->n_layers, &t->portions[i],
                             &t->weights[i], &err),
              err);
    assert_ok(collective_new(&c, &t->sums[i], &err), err);
    options.sum = collective_sum;
    options.sum_arg = t->sums[i];
    assert_ok(engine_find(NULL)->open(&t->weights[i], &options, &t->shards[i], &err), err);
    return t->shards[i];
}

static inline void team_close_shards(struct team *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        t->shards[i]->type->close(t->shards[i]);
        collective_free(t->sums[i]);
        shard_weights_release(&t->weights[i]);
    }
}

#endif
