/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_split.c - one node, two and three give identical tokens, on the real model.
 *
 * Greedy and seeded sampling, several sequences at once, every cut of the
 * layers over two ranks and some over three, over both transports, with
 * prompts in one piece and in chunks.  The reference is a driver that holds
 * the whole model (execute/local).
 */
#include "support/check.h"

#include <stdlib.h>

#include "execute/local.h"
#include "support/company.h"
#include "support/pipeline.h"

enum { N_LAYERS = 30, CONTEXT_TOKENS = 256, PAGE_TOKENS = 32, MAX_SEQUENCES = 4 };

/* Sanitizers make arithmetic twenty times slower, and look at the threads, not the numbers. */
#if defined(POMONA_IS_SANITIZED)
enum { CUT_STEP = 14, LONG_MEMBERS = 3, LONG_PROMPT = 17, LONG_TOKENS = 4 };
#else
enum { CUT_STEP = 1, LONG_MEMBERS = 6, LONG_PROMPT = 25, LONG_TOKENS = 24 };
#endif

struct fixture {
    struct model *model;
    struct shard_weights weights[RING_RANKS_MAX]; /* of the open pipeline */
    uint32_t n_open;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = { 0 };

    if (model_open(getenv("POMONA_TEST_MODEL"), &f->model, &err) != ST_OK) {
        print_error("%s\n", err.words);
        free(f);
        return -1;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f)
        model_free(f->model);
    free(f);
    return 0;
}

static struct engine_shard *open_shard(void *arg, uint32_t first_layer, uint32_t n_layers,
                                       const struct pipeline_options *o)
{
    const struct engine_options options = { .page_tokens = o->page_tokens,
                                            .n_pages = o->n_pages,
                                            .max_rows = o->max_rows,
                                            .max_logit_rows = o->max_sequences,
                                            .n_threads = 1 };
    struct fixture *f = arg;
    struct shard_weights *weights = &f->weights[f->n_open++];
    struct engine_shard *shard = NULL;
    struct err err = { 0 };

    assert_ok(model_shard(f->model, first_layer, n_layers, weights, &err), err);
    assert_ok(engine_find(NULL)->open(weights, &options, &shard, &err), err);
    return shard;
}

static struct company company_of(uint32_t n_members, uint32_t n_prompt, uint32_t max_tokens)
{
    return (struct company){
        .n_members = n_members, .n_prompt = n_prompt, .max_tokens = max_tokens, .n_vocab = 49152
    };
}

static void run_cut(struct fixture *f, uint32_t n_ranks, const uint32_t *n_layers,
                    const char *transport, uint32_t max_rows, struct company *c)
{
    const struct pipeline_options o = { .n_ranks = n_ranks,
                                        .n_layers = n_layers,
                                        .transport = transport,
                                        .context_tokens = CONTEXT_TOKENS,
                                        .page_tokens = PAGE_TOKENS,
                                        .n_pages = MAX_SEQUENCES * CONTEXT_TOKENS / PAGE_TOKENS,
                                        .max_rows = max_rows,
                                        .max_sequences = MAX_SEQUENCES,
                                        .n_vocab = model_info(f->model)->n_vocab,
                                        .n_hidden = model_info(f->model)->n_hidden,
                                        .open = open_shard,
                                        .open_arg = f };
    struct pipeline p;

    pipeline_open(&p, &o);
    company_run(c, p.driver);
    pipeline_close(&p);
    for (uint32_t i = 0; i < n_ranks; i++) {
        p.shards[i]->type->close(p.shards[i]);
        shard_weights_release(&f->weights[i]);
    }
    f->n_open = 0;
}

static void run_whole(struct fixture *f, uint32_t max_rows, unsigned n_threads, struct company *c)
{
    const struct local_options options = { .n_threads = n_threads,
                                           .context_tokens = CONTEXT_TOKENS,
                                           .max_sequences = MAX_SEQUENCES,
                                           .max_rows = max_rows };
    struct local *local = NULL;
    struct err err = { 0 };

    assert_ok(local_open(f->model, &options, &local, &err), err);
    company_run(c, local_driver(local));
    local_close(local);
}

static void every_cut_over_two_ranks_gives_the_tokens_of_one(void **state)
{
    struct company want = company_of(3, 4, 6), got = want;

    run_whole(*state, 512, 0, &want);
    for (uint32_t first = 1; first < N_LAYERS; first += CUT_STEP) {
        const uint32_t n_layers[] = { first, N_LAYERS - first };

        run_cut(*state, 2, n_layers, first % 2 == 0 ? "inproc" : "tcp", first % 3 == 0 ? 16 : 512,
                &got);
        company_assert_equal(&got, &want);
    }
}

static void cuts_over_three_ranks_give_the_tokens_of_one(void **state)
{
    static const uint32_t cuts[][3] = { { 1, 1, 28 }, { 28, 1, 1 }, { 10, 10, 10 }, { 3, 20, 7 } };
    struct company want = company_of(3, 4, 6), got = want;

    run_whole(*state, 512, 0, &want);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        run_cut(*state, 3, cuts[i], i % 2 == 0 ? "tcp" : "inproc", i % 2 == 0 ? 16 : 512, &got);
        company_assert_equal(&got, &want);
    }
}

/* Prompts longer than a page and longer than a step, more sequences than run at once. */
static void long_answers_in_company_are_the_same_for_any_chunks_and_cut(void **state)
{
    static const uint32_t two[] = { 18, 12 }, three[] = { 9, 12, 9 };
    struct company want = company_of(LONG_MEMBERS, LONG_PROMPT, LONG_TOKENS), got = want;

    run_whole(*state, 512, 0, &want);
    run_whole(*state, 16, 1, &got);
    company_assert_equal(&got, &want);
    run_cut(*state, 2, two, "tcp", 16, &got);
    company_assert_equal(&got, &want);
    run_cut(*state, 3, three, "inproc", 100, &got);
    company_assert_equal(&got, &want);
}

static void company_does_not_change_a_sequence(void **state)
{
    struct company together = company_of(4, 20, 16), alone = company_of(1, 20, 16);

    run_whole(*state, 64, 0, &together);
    run_whole(*state, 512, 1, &alone);
    assert_memory_equal(alone.members[0].tokens, together.members[0].tokens, 16 * sizeof(int32_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_over_two_ranks_gives_the_tokens_of_one),
        cmocka_unit_test(cuts_over_three_ranks_give_the_tokens_of_one),
        cmocka_unit_test(long_answers_in_company_are_the_same_for_any_chunks_and_cut),
        cmocka_unit_test(company_does_not_change_a_sequence),
    };

    return cmocka_run_group_tests_name("execute/split", tests, set_up, tear_down);
}
