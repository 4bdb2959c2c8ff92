/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/pipeline.h - a model cut over several ranks, all inside one test process.
 *
 * Each rank but the last is a thread that follows; the driver is the
 * caller's thread.  Shards come from a function of the test, so that the
 * real engine and the double run in the same pipeline.
 */
#ifndef POMONA_TESTS_SUPPORT_PIPELINE_H
#define POMONA_TESTS_SUPPORT_PIPELINE_H

#include <pthread.h>

#include "execute/driver.h"
#include "execute/shard/follower.h"
#include "support/ring.h"

struct pipeline_options {
    uint32_t n_ranks;
    const uint32_t *n_layers; /* [n_ranks] */
    const char *transport;    /* "inproc" or "tcp"; not looked at for one rank */
    uint32_t context_tokens, page_tokens, n_pages, max_rows, max_sequences;
    uint32_t n_vocab, n_hidden;
    uint32_t max_logit_rows, max_guesses; /* as in struct driver_options */
    struct draft *draft;
    const struct lineup *lineup;    /* NULL: no teams */
    const struct portion *portions; /* of the last team's members */
    struct traced *const *traced;   /* [n_ranks - 1]; NULL: nothing is told of what is traced */
    /* Called rank by rank, when pipeline.ends are joined. */
    struct engine_shard *(*open)(void *arg, uint32_t first_layer, uint32_t n_layers,
                                 const struct pipeline_options *options);
    void *open_arg;
};

struct pipeline_rank {
    struct follower_options options;
    struct err err;
    enum status status;
    pthread_t thread;
};

struct pipeline {
    uint32_t n_ranks;
    struct pipeline_rank ranks[RING_RANKS_MAX];
    struct transport *ends[RING_RANKS_MAX];
    struct engine_shard *shards[RING_RANKS_MAX];
    struct driver *driver;
};

static inline void *pipeline_follow(void *arg)
{
    struct pipeline_rank *r = arg;

    r->status = follower_run(&r->options, &r->err);
    transport_close(r->options.ring);
    return NULL;
}

/* Of a rank of the last team; NULL: it is of another, or the only one. */
static inline const struct portion *pipeline_portion(const struct pipeline_options *o,
                                                     uint32_t rank)
{
    const uint32_t first = o->lineup ? o->lineup->first[o->lineup->n_teams - 1] : o->n_ranks;

    return rank >= first ? &o->portions[rank - first] : NULL;
}

/* Of a step, that a team's members have to know of. */
static inline uint32_t pipeline_logit_rows(const struct pipeline_options *o)
{
    if (!o->portions)
        return 0;
    return o->max_logit_rows > 0 ? o->max_logit_rows : o->max_sequences;
}

static inline void pipeline_start_followers(struct pipeline *p, const struct pipeline_options *o)
{
    for (uint32_t i = 0; i + 1 < o->n_ranks; i++) {
        const struct portion *portion = pipeline_portion(o, i);

        p->ranks[i].options = (struct follower_options){
            .shard = p->shards[i],
            .ring = p->ends[i],
            .lineup = o->lineup,
            .first_output = portion ? portion->first_output : 0,
            .n_outputs = portion ? portion->n_outputs : 0,
            .limits = { .max_rows = o->max_rows,
                        .max_spans = o->max_sequences,
                        .context_tokens = o->context_tokens,
                        .page_tokens = o->page_tokens,
                        .n_pages = o->n_pages,
                        .n_vocab = o->n_vocab,
                        .n_hidden = o->n_hidden,
                        .max_logit_rows = pipeline_logit_rows(o) },
            .traced = o->traced ? o->traced[i] : NULL,
            .step_deadline_ms = 60000,
        };
        assert_int_equal(pthread_create(&p->ranks[i].thread, NULL, pipeline_follow, &p->ranks[i]),
                         0);
    }
}

static inline void pipeline_open(struct pipeline *p, const struct pipeline_options *o)
{
    struct driver_options d = { .n_ranks = o->n_ranks,
                                .n_vocab = o->n_vocab,
                                .n_hidden = o->n_hidden,
                                .context_tokens = o->context_tokens,
                                .page_tokens = o->page_tokens,
                                .n_pages = o->n_pages,
                                .max_rows = o->max_rows,
                                .max_sequences = o->max_sequences,
                                .max_logit_rows = o->max_logit_rows,
                                .max_guesses = o->max_guesses,
                                .draft = o->draft,
                                .lineup = o->lineup,
                                .portions = o->portions,
                                .max_waiting = 64,
                                .step_deadline_ms = 60000 };
    struct err err = { 0 };
    uint32_t first = 0;

    *p = (struct pipeline){ .n_ranks = o->n_ranks };
    if (o->n_ranks > 1)
        assert_ok(ring_new(o->transport, o->n_ranks, p->ends, &err), err);
    for (uint32_t i = 0; i < o->n_ranks; i++) {
        p->shards[i] = o->open(o->open_arg, first, o->n_layers[i], o);
        assert_non_null(p->shards[i]);
        if (!o->lineup || i + 1 == o->lineup->first[lineup_team(o->lineup, i) + 1])
            first += o->n_layers[i];
    }
    pipeline_start_followers(p, o);
    d.shard = p->shards[o->n_ranks - 1];
    d.ring = p->ends[o->n_ranks - 1];
    assert_ok(driver_new(&d, &p->driver, &err), err);
}

/* Followers end because the driver's end of the ring closes. */
static inline void pipeline_close(struct pipeline *p)
{
    driver_free(p->driver);
    transport_close(p->ends[p->n_ranks - 1]);
    for (uint32_t i = 0; i + 1 < p->n_ranks; i++) {
        pthread_join(p->ranks[i].thread, NULL);
        assert_int_equal(p->ranks[i].status, ST_PEER);
    }
}

#endif
