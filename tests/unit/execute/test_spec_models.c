/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_spec_models.c - real engines verify guesses bit for bit as they compute without.
 *
 * Whether guessing pays depends on the machine, so here the test guesses
 * itself: from the answer it knows, every few tokens a wrong one.  Tokens and
 * probabilities have to be those of a run without guesses, on the real model,
 * on one rank and on two.  Lookup and draft models then guess as they like.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "execute/driver/driver_priv.h"
#include "execute/local.h"
#include "support/company.h"
#include "support/folder.h"
#include "support/pipeline.h"
#include "support/tiny_llama.h"

enum { CONTEXT = 160, PAGE_TOKENS = 32, N_PAGES = 40, N_STREAMS = 3, MAX_LOGIT_ROWS = 24 };

#if defined(POMONA_IS_SANITIZED)
enum { N_TOKENS = 6 };
#else
enum { N_TOKENS = 28 };
#endif

struct answer {
    int32_t tokens[N_TOKENS];
    float logprobs[N_TOKENS];
    uint32_t n;
};

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct answer *a = arg;

    assert_null(failure);
    assert_true(a->n < N_TOKENS);
    a->logprobs[a->n] = event->logprob;
    a->tokens[a->n++] = event->token;
}

static void submit_all(struct driver *driver, uint32_t n_vocab, struct answer *answers)
{
    for (uint32_t i = 0; i < N_STREAMS; i++) {
        int32_t prompt[60];
        struct generation g = { .prompt = prompt, .n_prompt = 20 + 17 * i, .max_tokens = N_TOKENS };
        struct err err = { 0 };
        uint64_t id;

        for (uint32_t k = 0; k < g.n_prompt; k++) /* it repeats, so that lookup finds places */
            prompt[k] = (int32_t)((k % 11 * 7919 + i * 104729 + 17) % n_vocab);
        g.sampling = company_sampling(i);
        g.sampling.wants_logprobs = true;
        answers[i].n = 0;
        assert_ok(driver_submit(driver, &g, i, on_token, &answers[i], &id, &err), err);
    }
}

static void guess(struct driver *d, const struct answer *known)
{
    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        if (!q->is_running || q->n_tokens == q->n_prompt || q->n_flights > 0)
            continue;
        for (q->n_drafts = 0; q->n_drafts < 7 && q->n_tokens + q->n_drafts + 1 < q->n_limit;
             q->n_drafts++) {
            const uint32_t at = q->n_tokens + q->n_drafts;
            const int32_t right = known[q->tag].tokens[at - q->n_prompt];

            q->tokens[at] = at % 5 == 0 ? (right + 1) % (int32_t)d->o.n_vocab : right;
        }
    }
}

/* Returns the number of steps. */
static uint32_t run(struct driver *driver, const struct answer *known, struct answer *ret_answers)
{
    struct err err = { 0 };
    uint32_t n = 0;

    submit_all(driver, driver->o.n_vocab, ret_answers);
    for (; driver_has_work(driver); n++) {
        if (known)
            guess(driver, known);
        assert_ok(driver_step(driver, &err), err);
    }
    return n;
}

static void assert_same(const struct answer *a, const struct answer *b)
{
    for (uint32_t i = 0; i < N_STREAMS; i++) {
        assert_int_equal(a[i].n, N_TOKENS);
        assert_int_equal(b[i].n, N_TOKENS);
        assert_memory_equal(a[i].tokens, b[i].tokens, sizeof(a[i].tokens));
        assert_memory_equal(a[i].logprobs, b[i].logprobs, sizeof(a[i].logprobs));
    }
}

struct cut {
    struct model *model;
    struct shard_weights weights[2];
    uint32_t n;
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

static uint32_t run_ranks(struct model *model, uint32_t n_ranks, const struct answer *known,
                          struct answer *ret_answers)
{
    const uint32_t n_layer = model_info(model)->n_layer;
    const uint32_t layers[] = { n_ranks == 1 ? n_layer : n_layer / 2, n_layer - n_layer / 2 };
    struct cut cut = { .model = model };
    const struct pipeline_options o = { .n_ranks = n_ranks,
                                        .n_layers = layers,
                                        .transport = "inproc",
                                        .context_tokens = CONTEXT,
                                        .page_tokens = PAGE_TOKENS,
                                        .n_pages = N_PAGES,
                                        .max_rows = 64,
                                        .max_sequences = N_STREAMS,
                                        .n_vocab = model_info(model)->n_vocab,
                                        .n_hidden = model_info(model)->n_hidden,
                                        .max_logit_rows = MAX_LOGIT_ROWS,
                                        .open = open_cut,
                                        .open_arg = &cut };
    struct pipeline p;
    uint32_t n_steps;

    pipeline_open(&p, &o);
    n_steps = run(p.driver, known, ret_answers);
    pipeline_close(&p);
    for (uint32_t i = 0; i < n_ranks; i++) {
        p.shards[i]->type->close(p.shards[i]);
        shard_weights_release(&cut.weights[i]);
    }
    return n_steps;
}

static void run_local(const struct model *model, const struct model *draft, bool without_guesses,
                      struct answer *ret_answers)
{
    const struct local_options options = { .n_threads = 2,
                                           .context_tokens = CONTEXT,
                                           .max_sequences = N_STREAMS,
                                           .draft = draft,
                                           .without_guesses = without_guesses };
    struct local *local = NULL;
    struct err err = { 0 };

    assert_ok(local_open(model, &options, &local, &err), err);
    (void)run(local_driver(local), NULL, ret_answers);
    local_close(local);
}

static struct model *model_of(const char *path)
{
    struct model *model = NULL;
    struct err err = { 0 };

    assert_ok(model_open(path, &model, &err), err);
    return model;
}

static struct answer want[N_STREAMS], got[N_STREAMS];

static void guesses_on_the_real_model_leave_every_bit(void **state)
{
    struct model *model = model_of(getenv("POMONA_TEST_MODEL"));
    uint32_t n_plain;

    (void)state;
    n_plain = run_ranks(model, 1, NULL, want);
    assert_true(run_ranks(model, 1, want, got) < n_plain);
    assert_same(got, want);
    (void)run_ranks(model, 2, want, got);
    assert_same(got, want);
    model_free(model);
}

static void lookup_on_the_real_model_leaves_every_bit(void **state)
{
    struct model *model = model_of(getenv("POMONA_TEST_MODEL"));

    (void)state;
    run_local(model, NULL, true, want);
    run_local(model, NULL, false, got);
    assert_same(got, want);
    model_free(model);
}

static struct model *tiny_model(struct folder *folder, const char *name, uint32_t seed)
{
    struct tiny_llama spec = tiny_llama_default;
    char path[PATH_MAX_BYTES];

    spec.seed += seed;
    tiny_llama_write(&spec, folder_path(folder, name, path));
    return model_of(path);
}

/* One draft model agrees with everything, one with nothing. */
static void draft_models_leave_every_bit(void **state)
{
    struct folder folder;
    struct model *model, *other;

    (void)state;
    folder_make(&folder);
    model = tiny_model(&folder, "one.gguf", 0);
    other = tiny_model(&folder, "other.gguf", 1);
    run_local(model, NULL, true, want);
    run_local(model, model, false, got);
    assert_same(got, want);
    run_local(model, other, false, got);
    assert_same(got, want);
    model_free(model);
    model_free(other);
    folder_remove(&folder);
}

static void a_draft_model_of_another_vocabulary_is_refused(void **state)
{
    struct model *real = model_of(getenv("POMONA_TEST_MODEL")), *tiny;
    struct local_options options = { .n_threads = 1, .context_tokens = CONTEXT };
    struct local *local = NULL;
    struct folder folder;

    (void)state;
    folder_make(&folder);
    tiny = tiny_model(&folder, "tiny.gguf", 0);
    options.draft = real;
    assert_int_equal(local_open(tiny, &options, &local, NULL), ST_RANGE);
    model_free(real);
    model_free(tiny);
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guesses_on_the_real_model_leave_every_bit),
        cmocka_unit_test(lookup_on_the_real_model_leaves_every_bit),
        cmocka_unit_test(draft_models_leave_every_bit),
        cmocka_unit_test(a_draft_model_of_another_vocabulary_is_refused),
    };

    return cmocka_run_group_tests_name("execute/spec_models", tests, NULL, NULL);
}
