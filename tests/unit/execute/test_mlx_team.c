/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_mlx_team.c - members that compute with MLX, alone and beside the CPU engine.
 *
 * A model shaped like SmolLM2 (9 heads on 3).  The sums are those of execute/collective; MLX's own ring needs
 * processes (tests/integration/test_mlx_ring.py).  Distances are in standard deviations of a row's logits.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "support/folder.h"
#include "support/team.h"
#include "support/tiny_llama.h"

enum { N_ROWS = 20, N_VOCAB = 267, N_LAYERS = 3, PAGE_TOKENS = 16 };

static const double MLX_BOUND = 1e-4,
                    MIXED_BOUND = 0.02; /* the CPU engine's activations have 16 bits */

struct member {
    const char *engine;
    const struct model *model;
    const uint32_t *shares;
    uint32_t n_members, i;
    struct transport *end;
    float *logits; /* [N_ROWS][N_VOCAB], its own columns are filled */
    struct err err;
    enum status status;
};

struct fixture {
    struct folder folder;
    struct model *model;
    float whole[N_ROWS * N_VOCAB], team[N_ROWS * N_VOCAB];
};

static const struct engine_options like = { .page_tokens = PAGE_TOKENS,
                                            .n_pages = 4,
                                            .max_rows = N_ROWS,
                                            .max_logit_rows = N_ROWS,
                                            .n_threads = 1 };

static enum status step(struct engine_shard *shard, float *logits, struct err *err)
{
    static const uint32_t pages[] = { 3, 1 };
    const struct engine_span span = { .n_rows = N_ROWS, .pages = pages, .n_pages = 2 };
    int32_t tokens[N_ROWS];
    uint32_t rows[N_ROWS];
    const struct engine_batch batch = { .n_rows = N_ROWS,
                                        .tokens = tokens,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = rows,
                                        .n_logit_rows = N_ROWS };

    for (uint32_t i = 0; i < N_ROWS; i++) {
        tokens[i] = (int32_t)(3 + i * 37 % 200);
        rows[i] = i;
    }
    return shard->type->step(shard, &batch, NULL, logits, err);
}

static int set_up(void **state)
{
    struct tiny_llama spec = tiny_llama_default;
    struct fixture *f = calloc(1, sizeof(*f));
    struct shard_weights weights;
    struct engine_shard *shard;
    char path[PATH_MAX_BYTES];
    struct err err;

    spec.n_layer = N_LAYERS;
    spec.n_hidden = 288;
    spec.n_head = 9;
    spec.n_kv_head = 3;
    spec.n_ff = 320;
    spec.matrices = spec.embedding = DTYPE_Q4_1;
    folder_make(&f->folder);
    tiny_llama_write(&spec, folder_path(&f->folder, "tiny.gguf", path));
    assert_ok(model_open(path, &f->model, &err), err);
    assert_ok(model_shard(f->model, 0, N_LAYERS, &weights, &err), err);
    assert_ok(engine_find("mlx")->open(&weights, &like, &shard, &err), err);
    assert_ok(step(shard, f->whole, &err), err);
    shard->type->close(shard);
    shard_weights_release(&weights);
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

/* Into the member's columns of the team's logits. */
static void lay_out(const struct member *m, const struct portion *p, const float *own)
{
    for (size_t row = 0; row < N_ROWS; row++)
        memcpy(m->logits + row * N_VOCAB + p->first_output, own + row * p->n_outputs,
               p->n_outputs * sizeof(*own));
}

static void *be_member(void *arg)
{
    static const uint64_t deadline_ms = 60000;
    struct member *m = arg;
    const struct collective_options c = { .ring = m->end,
                                          .n_members = m->n_members,
                                          .deadline_ms = deadline_ms };
    float *own = malloc(sizeof(float) * N_ROWS * N_VOCAB);
    struct engine_options options = like;
    struct engine_shard *shard = NULL;
    struct collective *sums = NULL;
    struct shard_weights weights = { 0 };
    struct portion p;

    m->status = model_portion(m->model, m->shares, m->n_members, m->i, &p, &m->err);
    if (m->status == ST_OK)
        m->status = model_shard_of(m->model, 0, N_LAYERS, &p, &weights, &m->err);
    if (m->status == ST_OK)
        m->status = collective_new(&c, &sums, &m->err);
    options.sum = collective_sum;
    options.sum_arg = sums;
    if (m->status == ST_OK)
        m->status = engine_find(m->engine)->open(&weights, &options, &shard, &m->err);
    if (m->status == ST_OK)
        m->status = step(shard, own, &m->err);
    if (m->status == ST_OK)
        lay_out(m, &p, own);
    transport_close(m->end); /* who failed keeps nobody waiting */
    if (shard)
        shard->type->close(shard);
    collective_free(sums);
    shard_weights_release(&weights);
    free(own);
    return NULL;
}

static double distance(const float *a, const float *b)
{
    double largest = 0;

    for (size_t row = 0; row < N_ROWS; row++, a += N_VOCAB, b += N_VOCAB) {
        double sum = 0, squares = 0, most = 0;

        for (size_t i = 0; i < N_VOCAB; i++) {
            assert_true(isfinite(a[i]) && isfinite(b[i]));
            sum += a[i];
            squares += (double)a[i] * a[i];
            most = fmax(most, fabs((double)a[i] - b[i]));
        }
        largest = fmax(largest, most / sqrt(squares / N_VOCAB - pow(sum / N_VOCAB, 2)));
    }
    return largest;
}

static double distance_of_team(struct fixture *f, const uint32_t *shares, uint32_t n,
                               const char *const *engines)
{
    struct transport *ends[RING_RANKS_MAX];
    struct member members[RING_RANKS_MAX];
    pthread_t threads[RING_RANKS_MAX];
    struct err err;

    memset(f->team, 0, sizeof(f->team));
    assert_ok(ring_new("inproc", n, ends, &err), err);
    for (uint32_t i = 0; i < n; i++) {
        members[i] = (struct member){ .engine = engines[i],
                                      .model = f->model,
                                      .shares = shares,
                                      .n_members = n,
                                      .i = i,
                                      .end = ends[i],
                                      .logits = f->team };
        assert_int_equal(pthread_create(&threads[i], NULL, be_member, &members[i]), 0);
    }
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < n; i++)
        assert_ok(members[i].status, members[i].err);
    return distance(f->whole, f->team);
}

static const char *const all_mlx[] = { "mlx", "mlx", "mlx" };

static void a_team_of_mlx_computes_what_one_does(void **state)
{
    static const uint32_t two[] = { 2, 1 }, three[] = { 1, 1, 1 };

    assert_true(distance_of_team(*state, two, 2, all_mlx) < MLX_BOUND);
    assert_true(distance_of_team(*state, three, 3, all_mlx) < MLX_BOUND);
}

static void a_member_without_heads_has_feed_forward_rows(void **state)
{
    static const uint32_t shares[] = { 9, 1 };
    struct portion p;
    struct fixture *f = *state;

    assert_int_equal(model_portion(f->model, shares, 2, 1, &p, NULL), ST_OK);
    assert_int_equal(p.n_kv_heads, 0);
    assert_true(distance_of_team(f, shares, 2, all_mlx) < MLX_BOUND);
}

static void a_team_may_have_both_engines(void **state)
{
    static const uint32_t shares[] = { 1, 1, 1 };
    static const char *const engines[] = { "mlx", "cpu", "mlx" };

    assert_true(distance_of_team(*state, shares, 3, engines) < MIXED_BOUND);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_team_of_mlx_computes_what_one_does),
        CASE(a_member_without_heads_has_feed_forward_rows),
        CASE(a_team_may_have_both_engines),
    };
    return cmocka_run_group_tests_name("execute/mlx_team", tests, NULL, NULL);
}
