/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/answer.c - drive one sequence to its end, as cmd/session.h promises.
 *
 * The driver calls back from driver_step(), in this thread, so an answer
 * needs no lock: what the callback learns is read right after the step.
 */
#include "aggregate/aggregate.h"
#include "base/clock.h"
#include "cmd/session.h"

enum { END_TOKENS_MAX = 16 };

struct answering {
    struct aggregate *aggregate;
    text_fn *fn;
    void *arg;
    uint64_t start_ns, first_ns, last_ns;
    uint64_t n_tokens;
    enum finish_reason finish;
    bool is_over;
    enum status status; /* of the callback */
    struct err err;
};

static void on_delta(void *arg, const struct reply_delta *delta)
{
    struct answering *a = arg;

    if (delta->n_text > 0)
        a->fn(a->arg, delta->text, delta->n_text);
    a->finish = delta->finish;
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct answering *a = arg;

    if (failure) {
        a->err = *failure;
        a->status = failure->status;
        a->is_over = true;
        return;
    }
    a->last_ns = clock_ns();
    if (a->first_ns == 0)
        a->first_ns = a->last_ns;
    a->status = aggregate_push(a->aggregate, event, &a->is_over, &a->err);
    a->n_tokens = aggregate_n_tokens(a->aggregate);
    if (a->status != ST_OK)
        a->is_over = true;
}

static void generation_fill(const struct session_options *options, const struct tokens *prompt,
                            struct generation *g)
{
    *g = (struct generation){
        .prompt = prompt->ids,
        .n_prompt = prompt->n,
        .max_tokens = options->max_tokens,
    };
    sampling_init(&g->sampling);
    g->sampling.temperature = (float)options->temperature;
    g->sampling.top_p = (float)options->top_p;
    g->sampling.min_p = (float)options->min_p;
    g->sampling.top_k = options->top_k;
    g->sampling.repetition_penalty = (float)options->repetition_penalty;
    g->sampling.seed = options->seed;
}

/* Step until the sequence is over.  A driver that runs out of work before that broke its word. */
static enum status drive(struct driver *driver, struct answering *a,
                         const volatile sig_atomic_t *stop, struct err *err)
{
    while (!a->is_over) {
        enum status s;

        if (stop && *stop) {
            a->finish = FINISH_CANCELED;
            return ST_OK;
        }
        if (!driver_has_work(driver))
            return err_set(err, ST_IO, "the answer ended without its last token");
        s = driver_step(driver, err);
        if (s != ST_OK)
            return s;
    }
    if (a->status != ST_OK && err)
        *err = a->err;
    return a->status;
}

double answer_rate(const struct answer *answer)
{
    if (answer->n_tokens < 2 || answer->decode_s <= 0)
        return 0;
    return (double)(answer->n_tokens - 1) / answer->decode_s;
}

static double seconds_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / (double)NS_PER_S : 0;
}

enum status session_answer(const struct session *session, const struct session_options *options,
                           const struct tokens *prompt, const volatile sig_atomic_t *stop,
                           text_fn *fn, void *arg, struct answer *ret_answer, struct err *err)
{
    struct driver *driver = local_driver(session->local);
    struct answering a = { .fn = fn, .arg = arg, .start_ns = clock_ns() };
    const struct aggregate_options options_of_text = { .tokenizer = session->tokenizer };
    int32_t ends[END_TOKENS_MAX];
    struct generation generation;
    uint64_t id = 0;
    enum status s;

    generation_fill(options, prompt, &generation);
    generation.stop_tokens = ends;
    generation.n_stop_tokens = tokenizer_end_tokens(session->tokenizer, ends, END_TOKENS_MAX);
    s = aggregate_new(&options_of_text, on_delta, &a, &a.aggregate, err);
    if (s == ST_OK)
        s = driver_submit(driver, &generation, 0, on_token, &a, &id, err);
    if (s == ST_OK) {
        s = drive(driver, &a, stop, err);
        driver_cancel(driver, id); /* nothing to cancel where it ended by itself */
    }
    aggregate_free(a.aggregate);
    if (s != ST_OK)
        return s;
    *ret_answer = (struct answer){
        .n_prompt = prompt->n,
        .n_tokens = a.n_tokens,
        .first_token_s = seconds_between(a.start_ns, a.first_ns),
        .decode_s = seconds_between(a.first_ns, a.last_ns),
        .finish = a.finish,
    };
    return ST_OK;
}
