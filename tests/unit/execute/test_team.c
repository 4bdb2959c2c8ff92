/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_team.c - ranks that split every layer compute what one rank does.
 *
 * A model shaped like SmolLM2 (9 heads on 3) over two, three and four ranks, equal shares and
 * not, some without heads.  Logits are within ERROR_MAX of one rank's: the sums of f32 are in
 * another order.  What has to be equal bit for bit is: members among themselves, the same cut
 * twice, any number of threads, any batch and either transport.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/company.h"
#include "support/folder.h"
#include "support/pipeline.h"
#include "support/team.h"
#include "support/tiny_llama.h"

enum {
    N_LAYERS = 3,
    N_HIDDEN = 288,
    N_ROWS = 41,
    N_LOGIT_ROWS = 5,
    N_VOCAB = 267,
    PAGE_TOKENS = 16,
    N_PAGES = 32,
    CONTEXT_TOKENS = 256,
    MAX_SEQUENCES = 4,
};

static const float ERROR_MAX = 5e-4f; /* activations are rounded to 16 bits, some the other way */

struct cut {
    uint32_t n;
    uint32_t shares[4];
    enum sum_format sums;
};

static const struct cut cuts[] = {
    { 2, { 1, 1 }, SUM_F32 },       { 2, { 2, 1 }, SUM_F32 },       { 2, { 1, 9 }, SUM_F32 },
    { 3, { 1, 1, 1 }, SUM_F32 },    { 3, { 5, 3, 1 }, SUM_F32 },    { 3, { 1, 1, 7 }, SUM_F32 },
    { 4, { 1, 1, 1, 1 }, SUM_F32 }, { 4, { 4, 1, 1, 3 }, SUM_F32 },
};

enum { N_CUTS = sizeof(cuts) / sizeof(cuts[0]) };

struct fixture {
    struct folder folder;
    struct model *model;
    float whole[N_LOGIT_ROWS][N_VOCAB];
};

/* ---- one batch ---- */

static int32_t tokens[N_ROWS];
static const uint32_t pages_a[] = { 5, 0, 9 }, pages_b[] = { 1 };
static const struct engine_span spans[] = {
    { .first_row = 0, .n_rows = 35, .start = 0, .pages = pages_a, .n_pages = 3 },
    { .first_row = 35, .n_rows = 6, .start = 0, .pages = pages_b, .n_pages = 1 },
};
static const uint32_t logit_rows[N_LOGIT_ROWS] = { 0, 17, 34, 35, 40 };

static struct engine_batch batch_of_two(void)
{
    for (int i = 0; i < N_ROWS; i++)
        tokens[i] = 3 + i * 37 % 200;
    return (struct engine_batch){ .n_rows = N_ROWS,
                                  .tokens = tokens,
                                  .spans = spans,
                                  .n_spans = 2,
                                  .logit_rows = logit_rows,
                                  .n_logit_rows = N_LOGIT_ROWS };
}

/* Its second sequence alone. */
static struct engine_batch batch_of_one(void)
{
    static const uint32_t rows[] = { 0, 5 };
    static struct engine_span span;

    span = spans[1];
    span.first_row = 0;
    return (struct engine_batch){ .n_rows = 6,
                                  .tokens = tokens + 35,
                                  .spans = &span,
                                  .n_spans = 1,
                                  .logit_rows = rows,
                                  .n_logit_rows = 2 };
}

static const struct engine_options engine = { .page_tokens = PAGE_TOKENS,
                                              .n_pages = N_PAGES,
                                              .max_rows = 64,
                                              .max_logit_rows = N_LOGIT_ROWS,
                                              .n_threads = 1 };

struct member {
    struct engine_shard *shard;
    const struct engine_batch *batch;
    float *hidden, *logits;
    enum status status;
    struct err err;
};

static void *step(void *arg)
{
    struct member *m = arg;

    m->status = m->shard->type->step(m->shard, m->batch, m->hidden, m->logits, &m->err);
    return NULL;
}

static void lay_out(const struct portion *p, const float *from, uint32_t n_rows,
                    float (*ret)[N_VOCAB])
{
    for (uint32_t r = 0; r < n_rows; r++)
        memcpy(ret[r] + p->first_output, from + (size_t)r * p->n_outputs,
               p->n_outputs * sizeof(float));
}

/* All members compute the batch; their hidden rows have to be the same. */
static void step_team(struct team *t, const struct engine_batch *batch,
                      float (*ret_logits)[N_VOCAB])
{
    struct member members[RING_RANKS_MAX];
    pthread_t threads[RING_RANKS_MAX];

    for (uint32_t i = 0; i < t->n; i++) {
        members[i] = (struct member){ .shard = t->shards[i],
                                      .batch = batch,
                                      .hidden = calloc(N_ROWS * N_HIDDEN, sizeof(float)),
                                      .logits = calloc(N_LOGIT_ROWS * N_VOCAB, sizeof(float)) };
        assert_int_equal(pthread_create(&threads[i], NULL, step, &members[i]), 0);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(members[i].status, members[i].err);
        lay_out(&t->portions[i], members[i].logits, batch->n_logit_rows, ret_logits);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        assert_memory_equal(members[i].hidden, members[0].hidden,
                            batch->n_rows * N_HIDDEN * sizeof(float));
        free(members[i].logits);
    }
    for (uint32_t i = 0; i < t->n; i++)
        free(members[i].hidden);
}

static void open_team(struct team *t, const struct model *model, const struct cut *cut,
                      const char *transport, unsigned n_threads)
{
    struct engine_options options = engine;
    struct err err = { 0 };

    options.n_threads = n_threads;
    *t = (struct team){ .n = cut->n, .ends = calloc(cut->n, sizeof(struct transport *)) };
    assert_ok(ring_new(transport, cut->n, t->ends, &err), err);
    for (uint32_t i = 0; i < cut->n; i++)
        (void)team_open_member(
            t, &(struct team_layers){ model, cut->shares, 0, 0, N_LAYERS, cut->sums }, i, &options);
}

static void close_team(struct team *t)
{
    team_close_shards(t);
    for (uint32_t i = 0; i < t->n; i++)
        transport_close(t->ends[i]);
    free(t->ends);
}

static void run_team(const struct model *model, const struct cut *cut, const char *transport,
                     unsigned n_threads, const struct engine_batch *batch,
                     float (*ret_logits)[N_VOCAB])
{
    struct team t;

    open_team(&t, model, cut, transport, n_threads);
    step_team(&t, batch, ret_logits);
    close_team(&t);
}

static void run_whole(const struct model *model, float (*ret_logits)[N_VOCAB])
{
    const struct engine_batch batch = batch_of_two();
    struct engine_shard *shard = NULL;
    struct shard_weights weights;
    struct err err = { 0 };

    assert_ok(model_shard(model, 0, N_LAYERS, &weights, &err), err);
    assert_ok(engine_find(NULL)->open(&weights, &engine, &shard, &err), err);
    assert_ok(shard->type->step(shard, &batch, NULL, ret_logits[0], &err), err);
    shard->type->close(shard);
    shard_weights_release(&weights);
}

static struct model *open_model(const struct folder *folder, enum dtype matrices)
{
    const struct tiny_llama spec = { .n_layer = N_LAYERS,
                                     .n_hidden = N_HIDDEN,
                                     .n_ff = 192,
                                     .n_head = 9,
                                     .n_kv_head = 3,
                                     .context_tokens = CONTEXT_TOKENS,
                                     .matrices = matrices,
                                     .embedding = DTYPE_F16,
                                     .is_tied = true,
                                     .seed = 5 };
    struct model *model = NULL;
    char path[PATH_MAX_BYTES];
    struct err err = { 0 };

    tiny_llama_write(&spec, folder_path(folder, "m.gguf", path));
    assert_ok(model_open(path, &model, &err), err);
    return model;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    folder_make(&f->folder);
    f->model = open_model(&f->folder, DTYPE_Q8_0);
    run_whole(f->model, f->whole);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    model_free(f->model);
    folder_remove(&f->folder);
    free(f);
    return 0;
}

static void assert_within(float (*got)[N_VOCAB], float (*want)[N_VOCAB], float error_max)
{
    float largest = 0;

    for (uint32_t r = 0; r < N_LOGIT_ROWS; r++)
        for (uint32_t i = 0; i < N_VOCAB; i++) {
            if (!(fabsf(got[r][i] - want[r][i]) <= error_max))
                fail_msg("row %u token %u: %.6f instead of %.6f", r, i, (double)got[r][i],
                         (double)want[r][i]);
            largest = fmaxf(largest, fabsf(want[r][i]));
        }
    assert_true(largest > 0.1f && largest < 10); /* there was something to compare */
}

static void assert_close(float (*got)[N_VOCAB], float (*want)[N_VOCAB])
{
    assert_within(got, want, ERROR_MAX);
}

static void logits_of_any_cut_are_those_of_one_rank_but_for_rounding(void **state)
{
    struct fixture *f = *state;
    const struct engine_batch batch = batch_of_two();
    float got[N_LOGIT_ROWS][N_VOCAB];

    for (size_t i = 0; i < N_CUTS; i++) {
        memset(got, 0xff, sizeof(got));
        run_team(f->model, &cuts[i], "inproc", 1, &batch, got);
        assert_close(got, f->whole);
    }
}

static void logits_are_close_in_every_number_format(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1 };
    struct fixture *f = *state;
    const struct engine_batch batch = batch_of_two();
    float got[N_LOGIT_ROWS][N_VOCAB], want[N_LOGIT_ROWS][N_VOCAB];

    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        struct model *model = open_model(&f->folder, dtypes[i]);

        run_whole(model, want);
        run_team(model, &cuts[4], "inproc", 1, &batch, got);
        assert_close(got, want);
        model_free(model);
    }
}

/* Logits are of size 1 and their spread is about that. */
static void sums_in_fewer_bytes_cost_what_is_stated(void **state)
{
    static const float error_max[N_SUM_FORMATS] = { 5e-4f, 2e-3f, 3e-2f };
    struct fixture *f = *state;
    const struct engine_batch batch = batch_of_two();
    float got[N_LOGIT_ROWS][N_VOCAB], again[N_LOGIT_ROWS][N_VOCAB];

    for (size_t i = 0; i < N_CUTS; i++)
        for (int sums = SUM_F16; sums < N_SUM_FORMATS; sums++) {
            struct cut cut = cuts[i];

            cut.sums = (enum sum_format)sums;
            run_team(f->model, &cut, "inproc", 1, &batch, got);
            assert_within(got, f->whole, error_max[sums]);
            run_team(f->model, &cut, "inproc", 1, &batch, again);
            assert_memory_equal(got, again, sizeof(got));
        }
}

static void a_cut_gives_the_same_bits_each_time_whatever_threads_and_transport(void **state)
{
    struct fixture *f = *state;
    const struct engine_batch batch = batch_of_two();
    float first[N_LOGIT_ROWS][N_VOCAB], second[N_LOGIT_ROWS][N_VOCAB];

    for (size_t i = 0; i < N_CUTS; i++) {
        run_team(f->model, &cuts[i], "inproc", 1, &batch, first);
        run_team(f->model, &cuts[i], "tls", 3, &batch, second);
        assert_memory_equal(first, second, sizeof(first));
    }
}

static void a_row_of_a_team_does_not_depend_on_the_batch(void **state)
{
    struct fixture *f = *state;
    const struct engine_batch both = batch_of_two(), one = batch_of_one();
    float together[N_LOGIT_ROWS][N_VOCAB], alone[N_LOGIT_ROWS][N_VOCAB];

    for (size_t i = 0; i < N_CUTS; i++) {
        run_team(f->model, &cuts[i], "inproc", 1, &both, together);
        run_team(f->model, &cuts[i], "inproc", 2, &one, alone);
        assert_memory_equal(together[3], alone[0], 2 * sizeof(alone[0]));
    }
}

/* ---- failures ---- */

static void a_lost_member_ends_the_step_and_the_shard(void **state)
{
    struct fixture *f = *state;
    const struct engine_batch batch = batch_of_one();
    float *logits = calloc(N_LOGIT_ROWS * N_VOCAB, sizeof(float));
    struct team t;
    struct err err = { 0 };

    open_team(&t, f->model, &cuts[3], "tcp", 2);
    transport_close(t.ends[2]);
    t.ends[2] = NULL;
    assert_int_equal(t.shards[0]->type->step(t.shards[0], &batch, NULL, logits, &err), ST_PEER);
    assert_int_equal(t.shards[0]->type->step(t.shards[0], &batch, NULL, logits, &err), ST_PEER);
    assert_non_null(strstr(err.words, "rank 2"));
    close_team(&t);
    free(logits);
}

static void a_portion_needs_a_way_to_sum_and_the_other_way_round(void **state)
{
    struct fixture *f = *state;
    struct engine_options options = engine;
    struct engine_shard *shard = NULL;
    struct shard_weights weights;
    struct portion p;
    struct err err = { 0 };

    assert_ok(model_portion(f->model, cuts[0].shares, 2, 0, &p, &err), err);
    assert_ok(model_shard_of(f->model, 0, N_LAYERS, &p, &weights, &err), err);
    assert_int_equal(engine_find(NULL)->open(&weights, &options, &shard, &err), ST_RANGE);
    shard_weights_release(&weights);
    options.sum = collective_sum;
    assert_ok(model_shard(f->model, 0, N_LAYERS, &weights, &err), err);
    assert_int_equal(engine_find(NULL)->open(&weights, &options, &shard, &err), ST_RANGE);
    shard_weights_release(&weights);
}

/* ---- a driver and followers ---- */

/* Teams one after the other, as a pipeline. */
struct driven {
    const struct model *model;
    const struct cut *cuts; /* [lineup.n_teams] */
    struct lineup lineup;
    struct pipeline pipeline;
    struct team teams[3]; /* [lineup.n_teams] */
    uint32_t n_open;
};

static struct engine_shard *open_member(void *arg, uint32_t first_layer, uint32_t n_layers,
                                        const struct pipeline_options *o)
{
    struct driven *d = arg;
    const uint32_t rank = d->n_open++, team = lineup_team(&d->lineup, rank);
    const uint32_t member = rank - d->lineup.first[team];
    const struct team_layers layers = {
        d->model, d->cuts[team].shares, d->lineup.first[team], first_layer,
        n_layers, d->cuts[team].sums
    };
    struct engine_options options = { .page_tokens = o->page_tokens,
                                      .n_pages = o->n_pages,
                                      .max_rows = o->max_rows,
                                      .max_logit_rows = o->max_sequences,
                                      .n_threads = 1 };

    d->teams[team].n = d->cuts[team].n;
    d->teams[team].ends = d->pipeline.ends + layers.first_rank;
    return team_open_member(&d->teams[team], &layers, member, &options);
}

/* n_layers  [n_teams] of each */
static void drive(struct fixture *f, const struct cut *teams, const uint32_t *n_layers,
                  uint32_t n_teams, const char *transport, uint32_t max_rows, struct company *c)
{
    struct driven d = { .model = f->model, .cuts = teams };
    const struct cut *last = &teams[n_teams - 1];
    uint32_t sizes[3], layers_of_rank[RING_RANKS_MAX];
    struct portion portions[4];
    struct err err = { 0 };

    for (uint32_t i = 0; i < n_teams; i++)
        sizes[i] = teams[i].n;
    assert_ok(lineup_init(&d.lineup, sizes, n_teams, &err), err);
    for (uint32_t i = 0; i < lineup_n_ranks(&d.lineup); i++)
        layers_of_rank[i] = n_layers[lineup_team(&d.lineup, i)];
    for (uint32_t i = 0; i < last->n; i++)
        assert_ok(model_portion(f->model, last->shares, last->n, i, &portions[i], &err), err);
    const struct pipeline_options o = { .n_ranks = lineup_n_ranks(&d.lineup),
                                        .n_layers = layers_of_rank,
                                        .transport = transport,
                                        .context_tokens = CONTEXT_TOKENS,
                                        .page_tokens = 32,
                                        .n_pages = MAX_SEQUENCES * CONTEXT_TOKENS / 32,
                                        .max_rows = max_rows,
                                        .max_sequences = MAX_SEQUENCES,
                                        .n_vocab = N_VOCAB,
                                        .n_hidden = N_HIDDEN,
                                        .lineup = &d.lineup,
                                        .portions = portions,
                                        .open = open_member,
                                        .open_arg = &d };

    pipeline_open(&d.pipeline, &o);
    company_run(c, d.pipeline.driver);
    pipeline_close(&d.pipeline);
    for (uint32_t i = 0; i < n_teams; i++)
        team_close_shards(&d.teams[i]);
}

static void a_driven_team_gives_the_same_tokens_whatever_chunks_and_transport(void **state)
{
    static const uint32_t n_layers[] = { N_LAYERS };

    for (size_t i = 0; i < N_CUTS; i++) {
        struct company want = {
            .n_members = 6, .n_prompt = 25, .max_tokens = 20, .n_vocab = N_VOCAB
        };
        struct company got = want;

        drive(*state, &cuts[i], n_layers, 1, "inproc", 128, &want);
        drive(*state, &cuts[i], n_layers, 1, i % 2 == 0 ? "tcp" : "tls", 16, &got);
        company_assert_equal(&got, &want);
    }
}

/* Where layers are cut does not show, so one team is the measure of two teams of its shares. */
static void a_pipeline_of_teams_gives_the_tokens_of_one_team(void **state)
{
    static const uint32_t all[] = { N_LAYERS }, cut[] = { 2, 1 };
    static const struct cut two[] = { { 2, { 2, 1 }, SUM_F32 }, { 2, { 2, 1 }, SUM_F32 } };
    struct company want = { .n_members = 6, .n_prompt = 25, .max_tokens = 20, .n_vocab = N_VOCAB };
    struct company got = want, again = want;

    drive(*state, two, all, 1, "inproc", 128, &want);
    drive(*state, two, cut, 2, "inproc", 128, &got);
    company_assert_equal(&got, &want);
    drive(*state, two, cut, 2, "tls", 16, &again);
    company_assert_equal(&again, &want);
}

/* Three members, then two, then three: hidden rows go round. */
static void teams_of_different_sizes_follow_one_another(void **state)
{
    static const uint32_t n_layers[] = { 1, 1, 1 };
    static const struct cut teams[] = { { 3, { 1, 1, 1 }, SUM_F32 },
                                        { 2, { 1, 3 }, SUM_F32 },
                                        { 3, { 5, 3, 1 }, SUM_F32 } };
    struct company want = { .n_members = 6, .n_prompt = 25, .max_tokens = 20, .n_vocab = N_VOCAB };
    struct company got = want;

    drive(*state, teams, n_layers, 3, "inproc", 128, &want);
    drive(*state, teams, n_layers, 3, "tcp", 16, &got);
    company_assert_equal(&got, &want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_of_any_cut_are_those_of_one_rank_but_for_rounding),
        cmocka_unit_test(logits_are_close_in_every_number_format),
        cmocka_unit_test(sums_in_fewer_bytes_cost_what_is_stated),
        cmocka_unit_test(a_cut_gives_the_same_bits_each_time_whatever_threads_and_transport),
        cmocka_unit_test(a_row_of_a_team_does_not_depend_on_the_batch),
        cmocka_unit_test(a_lost_member_ends_the_step_and_the_shard),
        cmocka_unit_test(a_portion_needs_a_way_to_sum_and_the_other_way_round),
        cmocka_unit_test(a_driven_team_gives_the_same_tokens_whatever_chunks_and_transport),
        cmocka_unit_test(a_pipeline_of_teams_gives_the_tokens_of_one_team),
        cmocka_unit_test(teams_of_different_sizes_follow_one_another),
    };

    return cmocka_run_group_tests_name("execute/team", tests, set_up, tear_down);
}
