/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_allocations.c - no thread allocates while tokens are computed.
 *
 * After warm-up the next allocation of any thread is made to fail and be
 * remembered; the steps must neither notice nor make one.
 */
#include "support/check.h"

#include "execute/local.h"
#include "model/model.h"
#include "support/allocations.h"
#include "support/company.h"
#include "support/folder.h"
#include "support/pipeline.h"
#include "support/team.h"
#include "support/tiny_llama.h"

enum { WARM_UP = 4, STEPS = 40, N_STREAMS = 5, CONTEXT = 256 };

static const int32_t prompt[12] = { 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51 };

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    size_t *n = arg;

    assert_null(failure);
    assert_true(event->finish == FINISH_NONE || event->finish == FINISH_LENGTH);
    (*n)++;
}

/* Every sampling setting that changes what the sampler does is among them. */
static void submit_all(struct driver *driver, size_t *ret_n)
{
    static const struct logit_bias bias = { 60, 2 };
    static const int32_t stop = 300;

    for (uint32_t i = 0; i < N_STREAMS; i++) {
        struct generation g = { .prompt = prompt, .n_prompt = 12 - i, .max_tokens = CONTEXT };
        struct err err = { 0 };
        uint64_t id;

        g.sampling = company_sampling(i);
        g.sampling.wants_logprobs = true;
        g.sampling.n_top_logprobs = 5;
        g.sampling.frequency_penalty = i == 1 ? 0.5f : 0;
        g.sampling.logit_bias = &bias;
        g.sampling.n_logit_bias = i == 2 ? 1 : 0;
        g.stop_tokens = &stop;
        g.n_stop_tokens = 1;
        g.min_tokens = CONTEXT;
        ret_n[i] = 0;
        assert_ok(driver_submit(driver, &g, i, on_token, &ret_n[i], &id, &err), err);
    }
}

/* A step is a token or more of each stream, dealt to as many steps as there are ranks. */
static void assert_decodes_without_allocating(struct driver *driver, uint32_t n_ranks)
{
    size_t n[N_STREAMS];
    struct err err = { 0 };
    enum status s = ST_OK;

    submit_all(driver, n);
    for (int i = 0; i < WARM_UP; i++)
        assert_ok(driver_step(driver, &err), err);
    allocations_fail_at(1);
    for (int i = 0; s == ST_OK && i < STEPS; i++)
        s = driver_step(driver, &err);
    assert_false(allocations_failed());
    allocations_fail_at(0);
    assert_ok(s, err);
    for (int i = 0; i < N_STREAMS; i++)
        assert_true(n[i] >= STEPS / n_ranks);
}

static struct folder folder;

static int set_up(void **state)
{
    struct model *model = NULL;
    char path[PATH_MAX_BYTES];
    struct err err = { 0 };

    folder_make(&folder);
    tiny_llama_write(&tiny_llama_default, folder_path(&folder, "tiny.gguf", path));
    assert_ok(model_open(path, &model, &err), err);
    *state = model;
    return 0;
}

static int tear_down(void **state)
{
    model_free(*state);
    folder_remove(&folder);
    return 0;
}

static void a_model_in_one_process_decodes_without_allocating(void **state)
{
    const struct local_options options = { .context_tokens = CONTEXT,
                                           .n_threads = 2,
                                           .max_sequences = N_STREAMS };
    struct local *local = NULL;
    struct err err = { 0 };

    assert_ok(local_open(*state, &options, &local, &err), err);
    assert_decodes_without_allocating(local_driver(local), 1);
    local_close(local);
}

struct cut {
    struct model *model;
    struct shard_weights weights[RING_RANKS_MAX];
    size_t n;
};

static struct engine_shard *open_cut(void *arg, uint32_t first_layer, uint32_t n_layers,
                                     const struct pipeline_options *o)
{
    const struct engine_options options = { .page_tokens = o->page_tokens,
                                            .n_pages = o->n_pages,
                                            .max_rows = o->max_rows,
                                            .max_logit_rows = o->max_logit_rows,
                                            .n_threads = 2 };
    struct cut *cut = arg;
    struct shard_weights *weights = &cut->weights[cut->n++];
    struct engine_shard *shard = NULL;
    struct err err = { 0 };

    assert_ok(model_shard(cut->model, first_layer, n_layers, weights, &err), err);
    assert_ok(engine_find(NULL)->open(weights, &options, &shard, &err), err);
    return shard;
}

static struct pipeline_options ranks_of(struct cut *cut, const uint32_t *layers)
{
    const struct model_info *info = model_info(cut->model);

    return (struct pipeline_options){ .n_ranks = 2,
                                      .n_layers = layers,
                                      .transport = "tcp",
                                      .context_tokens = CONTEXT,
                                      .page_tokens = 16,
                                      .n_pages = 96,
                                      .max_rows = 64,
                                      .max_sequences = N_STREAMS,
                                      .n_vocab = info->n_vocab,
                                      .n_hidden = info->n_hidden,
                                      .max_logit_rows = 40,
                                      .max_guesses = 32,
                                      .open = open_cut,
                                      .open_arg = cut };
}

/* Followers are threads here, so theirs count too; and the model itself is its draft model. */
static void ranks_over_tcp_decode_without_allocating(void **state)
{
    static const uint32_t layers[] = { 2, 2 };
    struct cut cut = { .model = *state };
    const struct pipeline_options options = ranks_of(&cut, layers);
    struct pipeline_options with_draft = options;
    struct draft_options draft_options = { .n_vocab = options.n_vocab,
                                           .context_tokens = CONTEXT,
                                           .page_tokens = options.page_tokens,
                                           .n_pages = options.n_pages,
                                           .max_rows = options.max_rows,
                                           .max_sequences = N_STREAMS };
    struct err err = { 0 };
    struct pipeline p;

    draft_options.shard = open_cut(&cut, 0, 4, &options);
    assert_ok(draft_new(&draft_options, &with_draft.draft, &err), err);
    pipeline_open(&p, &with_draft);
    assert_decodes_without_allocating(p.driver, 2);
    pipeline_close(&p);
    draft_free(with_draft.draft);
    draft_options.shard->type->close(draft_options.shard);
    p.shards[0]->type->close(p.shards[0]);
    p.shards[1]->type->close(p.shards[1]);
    for (size_t i = 0; i < cut.n; i++)
        shard_weights_release(&cut.weights[i]);
}

static struct engine_shard *open_member(void *arg, uint32_t first_layer, uint32_t n_layers,
                                        const struct pipeline_options *o)
{
    static const uint32_t shares[] = { 1, 2, 1 };
    const struct engine_options options = { .page_tokens = o->page_tokens,
                                            .n_pages = o->n_pages,
                                            .max_rows = o->max_rows,
                                            .max_logit_rows = o->max_logit_rows,
                                            .n_threads = 2 };
    struct team *team = arg;
    const struct team_layers layers = { team->model, shares, 0, first_layer, n_layers, SUM_Q8 };

    return team_open_member(team, &layers, team->n_open++, &options);
}

/* Sums and logits of all members included; prompts are long enough for sums in two rounds. */
static void a_team_decodes_without_allocating(void **state)
{
    static const uint32_t layers[] = { 4, 4, 4 }, sizes[] = { 3 }, shares[] = { 1, 2, 1 };
    struct cut cut = { .model = *state };
    struct pipeline_options options = ranks_of(&cut, layers);
    struct portion portions[3];
    struct lineup lineup;
    struct pipeline p;
    struct team team = { .n = 3, .model = *state, .ends = p.ends };
    struct err err = { 0 };

    assert_ok(lineup_init(&lineup, sizes, 1, &err), err);
    for (uint32_t i = 0; i < 3; i++)
        assert_ok(model_portion(*state, shares, 3, i, &portions[i], &err), err);
    options.n_ranks = 3;
    options.lineup = &lineup;
    options.portions = portions;
    options.open = open_member;
    options.open_arg = &team;
    pipeline_open(&p, &options);
    assert_decodes_without_allocating(p.driver, 1);
    pipeline_close(&p);
    team_close_shards(&team);
}

static enum status make_sums(struct transport *const *ends, struct err *err)
{
    const struct collective_options o = { ends[0], 0, 2, 1000, SUM_Q8 };
    struct collective *c = NULL;
    const enum status s = collective_new(&o, &c, err);

    collective_free(c);
    return s;
}

static enum status make_driver(struct transport *const *ends, struct err *err)
{
    static const struct portion portions[] = { { 0, 2, 0, 1, 0, 32, 0, 16 },
                                               { 1, 2, 1, 1, 32, 32, 16, 16 } };
    static const uint32_t size = 2;
    struct driver_options o = { .ring = ends[1],
                                .n_ranks = 2,
                                .portions = portions,
                                .n_vocab = 32,
                                .n_hidden = 8,
                                .context_tokens = 64,
                                .page_tokens = 16,
                                .n_pages = 8,
                                .max_rows = 8,
                                .max_sequences = 2 };
    struct driver *driver = NULL;
    struct lineup lineup;
    enum status s = lineup_init(&lineup, &size, 1, err);

    o.lineup = &lineup;
    if (s == ST_OK)
        s = driver_new(&o, &driver, err);
    driver_free(driver);
    return s;
}

/* Whichever allocation fails, it is said and nothing is lost; leaks show under a sanitizer. */
static void what_a_team_needs_is_had_whole_or_not_at_all(void **state)
{
    enum status (*const makers[])(struct transport *const *, struct err *) = { make_sums,
                                                                               make_driver };
    struct transport *ends[2];
    struct err err = { 0 };

    (void)state;
    assert_ok(inproc_new(2, ends, &err), err);
    for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++) {
        enum status s = ST_NOMEM;
        size_t n_failed = 0;

        for (size_t k = 1; s != ST_OK; k++) {
            allocations_fail_at(k);
            s = makers[i](ends, &err);
            n_failed += allocations_failed() ? 1 : 0;
            allocations_fail_at(0);
            assert_true(s == ST_OK || s == ST_NOMEM);
        }
        assert_true(n_failed >= 3);
    }
    transport_close(ends[0]);
    transport_close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_in_one_process_decodes_without_allocating),
        cmocka_unit_test(ranks_over_tcp_decode_without_allocating),
        cmocka_unit_test(a_team_decodes_without_allocating),
        cmocka_unit_test(what_a_team_needs_is_had_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("execute/allocations", tests, set_up, tear_down);
}
