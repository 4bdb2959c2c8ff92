/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_pipeline.c - steps around a ring: any cut of an engine double gives the
 * same tokens, and a lost rank ends every sequence.
 */
#include "support/check.h"

#include "support/company.h"
#include "support/fake_engine.h"
#include "support/pipeline.h"

enum { N_LAYERS = 6, N_VOCAB = 300 };

static struct engine_shard *open_fake(void *arg, uint32_t first_layer, uint32_t n_layers,
                                      const struct pipeline_options *o)
{
    const struct fake_options fake = {
        .first_layer = first_layer,
        .n_layers = n_layers,
        .is_first = first_layer == 0,
        .is_last = first_layer + n_layers == N_LAYERS,
        .n_vocab = o->n_vocab,
        .page_tokens = o->page_tokens,
        .n_pages = o->n_pages,
        .max_rows = o->max_rows,
        .max_logit_rows = o->max_sequences,
        .fail_at_step = arg && first_layer == 0 ? *(const uint32_t *)arg : 0,
    };

    return fake_engine_new(&fake);
}

static void close_shards(struct pipeline *p)
{
    for (uint32_t i = 0; i < p->n_ranks; i++)
        p->shards[i]->type->close(p->shards[i]);
}

static struct pipeline_options options_of(uint32_t n_ranks, const uint32_t *n_layers,
                                          const char *transport, uint32_t max_rows)
{
    return (struct pipeline_options){ .n_ranks = n_ranks,
                                      .n_layers = n_layers,
                                      .transport = transport,
                                      .context_tokens = 256,
                                      .page_tokens = 16,
                                      .n_pages = 64,
                                      .max_rows = max_rows,
                                      .max_sequences = 4,
                                      .n_vocab = N_VOCAB,
                                      .n_hidden = FAKE_HIDDEN,
                                      .open = open_fake };
}

static struct company run_cut(uint32_t n_ranks, const uint32_t *n_layers, const char *transport,
                              uint32_t max_rows)
{
    const struct pipeline_options o = options_of(n_ranks, n_layers, transport, max_rows);
    struct company c = { .n_members = 5, .n_prompt = 20, .max_tokens = 40, .n_vocab = N_VOCAB };
    struct pipeline p;

    pipeline_open(&p, &o);
    company_run(&c, p.driver);
    pipeline_close(&p);
    close_shards(&p);
    return c;
}

static void every_cut_gives_the_tokens_of_one_rank(void **state)
{
    static const struct {
        uint32_t n_ranks, n_layers[4];
    } cuts[] = {
        { 2, { 1, 5 } },    { 2, { 3, 3 } },    { 2, { 5, 1 } },
        { 3, { 1, 4, 1 } }, { 3, { 2, 2, 2 } }, { 4, { 1, 1, 3, 1 } },
    };
    static const uint32_t whole[] = { N_LAYERS };
    const struct company want = run_cut(1, whole, "", 128);

    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        const struct company over_inproc =
            run_cut(cuts[i].n_ranks, cuts[i].n_layers, "inproc", 128);
        const struct company over_tcp = run_cut(cuts[i].n_ranks, cuts[i].n_layers, "tcp", 9);

        company_assert_equal(&over_inproc, &want);
        company_assert_equal(&over_tcp, &want);
    }
}

/* Sequences make room for each other between steps that are under way. */
static void a_small_pool_changes_no_token(void **state)
{
    static const uint32_t layers[] = { 2, 2, 2 }, whole[] = { N_LAYERS };
    struct pipeline_options o = options_of(3, layers, "tcp", 16);
    const struct company want = run_cut(1, whole, "", 128);
    struct company c = { .n_members = 5, .n_prompt = 20, .max_tokens = 40, .n_vocab = N_VOCAB };
    struct pipeline p;

    (void)state;
    o.n_pages = 13;
    pipeline_open(&p, &o);
    company_run(&c, p.driver);
    company_assert_equal(&c, &want);
    assert_true(driver_load(p.driver).n_preempted > 0);
    pipeline_close(&p);
    close_shards(&p);
}

struct canceling {
    struct company_member got;
    struct driver *driver;
    uint64_t id;
    size_t after; /* tokens */
};

static void take_and_cancel(void *arg, const struct token_event *event, const struct err *failure)
{
    struct canceling *c = arg;

    company_on_token(&c->got, event, failure);
    if (c->got.n == c->after)
        driver_cancel(c->driver, c->id);
}

/* Sequences are canceled while steps hold rows of them, others take their pages at once, and
 * nobody's tokens change. */
static void canceling_what_is_under_way_changes_no_other(void **state)
{
    static const uint32_t layers[] = { 2, 2, 2 }, whole[] = { N_LAYERS };
    struct pipeline_options o = options_of(3, layers, "inproc", 16);
    const struct company want = run_cut(1, whole, "", 128);
    struct company c = { .n_members = 5, .n_prompt = 20, .max_tokens = 40, .n_vocab = N_VOCAB };
    struct canceling others[3];
    const int32_t prompt[40] = { 5, 6, 7, 8 };
    struct generation g = { .prompt = prompt, .n_prompt = 40, .max_tokens = 30 };
    struct pipeline p;

    (void)state;
    sampling_init(&g.sampling);
    o.n_pages = 24;
    pipeline_open(&p, &o);
    for (size_t i = 0; i < 3; i++) {
        others[i] = (struct canceling){ .driver = p.driver, .after = 1 + 3 * i };
        assert_int_equal(
            driver_submit(p.driver, &g, 0, take_and_cancel, &others[i], &others[i].id, NULL),
            ST_OK);
    }
    company_run(&c, p.driver);
    company_assert_equal(&c, &want);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(others[i].got.n, 1 + 3 * i);
    assert_int_equal(driver_load(p.driver).kv_tokens_used, 0);
    pipeline_close(&p);
    close_shards(&p);
}

static void note_failure(void *arg, const struct token_event *event, const struct err *failure)
{
    (void)event;
    if (failure)
        *(enum status *)arg = failure->status;
}

static void a_rank_that_fails_ends_every_sequence(void **state)
{
    static const uint32_t n_layers[] = { 2, 2, 2 };
    static const char *const transports[] = { "inproc", "tcp" };
    const int32_t prompt[] = { 1, 2, 3 };
    struct generation g = { .prompt = prompt, .n_prompt = 3, .max_tokens = 50 };
    uint32_t fail_at = 5;

    (void)state;
    sampling_init(&g.sampling);
    for (size_t i = 0; i < 2; i++) {
        struct pipeline_options o = options_of(3, n_layers, transports[i], 64);
        enum status told[2] = { ST_OK, ST_OK }, s = ST_OK;
        struct pipeline p;
        struct err err;
        uint64_t id;

        o.open_arg = &fail_at;
        pipeline_open(&p, &o);
        for (int k = 0; k < 2; k++)
            assert_int_equal(driver_submit(p.driver, &g, 0, note_failure, &told[k], &id, NULL),
                             ST_OK);
        while (s == ST_OK)
            s = driver_step(p.driver, &err);
        assert_int_equal(s, ST_PEER);
        assert_int_equal(told[0], ST_PEER);
        assert_int_equal(told[1], ST_PEER);
        driver_free(p.driver);
        transport_close(p.ends[2]);
        pthread_join(p.ranks[0].thread, NULL);
        pthread_join(p.ranks[1].thread, NULL);
        assert_int_equal(p.ranks[0].status, ST_IO);
        assert_int_equal(p.ranks[1].status, ST_PEER);
        close_shards(&p);
    }
}

static void a_rank_that_hangs_is_a_deadline(void **state)
{
    struct transport *ends[2];
    struct engine_shard *shard;
    struct pipeline_options o = options_of(2, NULL, "inproc", 64);
    struct driver_options d = { .n_ranks = 2,
                                .n_vocab = N_VOCAB,
                                .n_hidden = FAKE_HIDDEN,
                                .context_tokens = 64,
                                .page_tokens = 16,
                                .n_pages = 8,
                                .max_rows = 64,
                                .max_sequences = 4,
                                .max_waiting = 4,
                                .step_deadline_ms = 40 };
    const int32_t prompt[] = { 1 };
    struct generation g = { .prompt = prompt, .n_prompt = 1, .max_tokens = 5 };
    enum status told = ST_OK;
    struct driver *driver;
    struct err err;
    uint64_t id;

    (void)state;
    sampling_init(&g.sampling);
    assert_int_equal(inproc_new(2, ends, NULL), ST_OK);
    shard = open_fake(NULL, 3, 3, &o);
    d.shard = shard;
    d.ring = ends[1];
    assert_ok(driver_new(&d, &driver, &err), err);
    assert_int_equal(driver_submit(driver, &g, 0, note_failure, &told, &id, NULL), ST_OK);
    assert_int_equal(driver_step(driver, &err), ST_DEADLINE); /* rank 0 never answers */
    assert_int_equal(told, ST_DEADLINE);
    driver_free(driver);
    shard->type->close(shard);
    transport_close(ends[0]);
    transport_close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_tokens_of_one_rank),
        cmocka_unit_test(a_small_pool_changes_no_token),
        cmocka_unit_test(canceling_what_is_under_way_changes_no_other),
        cmocka_unit_test(a_rank_that_fails_ends_every_sequence),
        cmocka_unit_test(a_rank_that_hangs_is_a_deadline),
    };

    return cmocka_run_group_tests_name("execute/pipeline", tests, NULL, NULL);
}
