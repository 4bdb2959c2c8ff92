/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/balance/test_unequal.c - unequal servers in virtual time: predicted work beats counting requests.
 *
 * Four servers, speeds 1 : 2 : 8 : 16, that share their speed among what they run (a batch), and compute
 * prompts first. Requests come at random, at 60 % of what all can do together. The policy learns speeds through pace.h
 * as the gateway does, from nothing.
 */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "balance/pace.h"
#include "balance/policy.h"

enum { SERVERS = 4, RUNNING_MAX = 400, REQUESTS = 6000, WARM_UP = 500 };

static const double SPEEDS[SERVERS] = { 1, 2, 8, 16 };
static const double STEP_S = 0.01, TOKENS_PER_S = 20, PROMPT_PER_S = 400; /* of speed 1 */

struct job {
    double prompt, answer, n_prompt, n_answer;
    double begun_s, first_s;
    uint64_t n_waiting;
};

struct server {
    struct job jobs[RUNNING_MAX];
    size_t n;
    double speed;
    struct pace pace;
};

struct world {
    struct server servers[SERVERS];
    double now_s, sum_s, worst_s;
    size_t n_done, n_lost;
    uint64_t random;
};

static double unit(struct world *w)
{
    w->random = balance_next_random(w->random);
    return ((double)(w->random >> 11) + 0.5) / 9007199254740992.0;
}

static struct balance_candidate view(const struct server *s, size_t i)
{
    double waiting = 0;

    for (size_t k = 0; k < s->n; k++)
        waiting += s->jobs[k].prompt > 0 ? s->jobs[k].n_prompt : 0;
    return (struct balance_candidate){
        .key = i,
        .weight = 1,
        .warmth = 1,
        .n_outstanding = (uint32_t)s->n,
        .n_waiting_tokens = (uint64_t)waiting,
        .prompt_tokens_per_s = s->pace.prompt_tokens_per_s,
        .token_s = pace_token_s(&s->pace, (double)s->n + 1),
    };
}

static void arrive(struct world *w, const struct balance_policy *policy)
{
    struct balance_candidate c[SERVERS];
    const double n_prompt = 20 + 200 * unit(w), n_answer = 10 + 90 * unit(w);
    const struct balance_request r = { .n_prompt_tokens = (uint64_t)n_prompt,
                                       .n_answer_tokens = 55,
                                       .random = balance_next_random(w->random) };
    struct server *s;
    size_t who;

    for (size_t i = 0; i < SERVERS; i++)
        c[i] = view(&w->servers[i], i);
    who = policy->choose(c, SERVERS, &r);
    s = &w->servers[who];
    if (s->n == RUNNING_MAX) {
        w->n_lost++;
        return;
    }
    s->jobs[s->n++] = (struct job){ .prompt = n_prompt,
                                    .answer = n_answer,
                                    .n_prompt = n_prompt,
                                    .n_answer = n_answer,
                                    .begun_s = w->now_s,
                                    .n_waiting = c[who].n_waiting_tokens + r.n_prompt_tokens };
}

static void finish(struct world *w, struct server *s, size_t k)
{
    const struct job job = s->jobs[k];
    const double took_s = w->now_s - job.begun_s;

    pace_answer(&s->pace, (uint64_t)job.n_answer, w->now_s - job.first_s, (double)s->n);
    s->jobs[k] = s->jobs[--s->n];
    if (++w->n_done <= WARM_UP)
        return;
    w->sum_s += took_s;
    w->worst_s = took_s > w->worst_s ? took_s : w->worst_s;
}

/* Prompts first, one after the other; the rest of the step is shared by the answers. A batch gains: n at
 * once take as long as one and a tenth of each other. */
static void compute(struct world *w, struct server *s)
{
    double left_s = STEP_S;

    for (size_t k = 0; k < s->n && left_s > 0; k++) {
        struct job *job = &s->jobs[k];
        const double need_s = job->prompt / (PROMPT_PER_S * s->speed);

        if (job->prompt <= 0)
            continue;
        job->prompt -= fmin(need_s, left_s) * PROMPT_PER_S * s->speed;
        if (need_s <= left_s) {
            job->prompt = 0;
            job->first_s = w->now_s;
            pace_first(&s->pace, job->n_waiting, w->now_s - job->begun_s + STEP_S);
        }
        left_s -= fmin(need_s, left_s);
    }
    for (size_t k = s->n; k-- > 0;) {
        const double each = TOKENS_PER_S * s->speed / (0.9 + 0.1 * (double)s->n);

        if (s->jobs[k].prompt > 0)
            continue;
        s->jobs[k].answer -= left_s * each;
        if (s->jobs[k].answer <= 0)
            finish(w, s, k);
    }
}

static struct world run(const struct balance_policy *policy, uint64_t seed)
{
    static struct world w;
    double next_s = 0;
    /* 27 speeds; a request is 120 / 400 s of prompt and 55 / 20 / 5 s of answer where batches are full */
    const double per_s = 0.6 * 27 / (120.0 / 400 + 55.0 / 20 / 5);

    memset(&w, 0, sizeof(w));
    w.random = seed;
    for (size_t i = 0; i < SERVERS; i++)
        w.servers[i].speed = SPEEDS[i];
    for (size_t n = 0; n < REQUESTS || w.n_done + w.n_lost < REQUESTS;) {
        w.now_s += STEP_S;
        for (; n < REQUESTS && next_s <= w.now_s; n++) {
            arrive(&w, policy);
            next_s -= log(unit(&w)) / per_s;
        }
        for (size_t i = 0; i < SERVERS; i++)
            compute(&w, &w.servers[i]);
    }
    return w;
}

static void predicted_work_beats_least_outstanding_and_that_round_robin(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        const struct world work = run(&balance_predicted_work, seed);
        const struct world least = run(&balance_least_outstanding, seed);
        const struct world turns = run(&balance_round_robin, seed);

        printf("seed %d: mean %.2f s, %.2f s, %.2f s; worst %.1f s, %.1f s, %.1f s\n", (int)seed,
               work.sum_s / (double)work.n_done, least.sum_s / (double)least.n_done,
               turns.sum_s / (double)turns.n_done, work.worst_s, least.worst_s, turns.worst_s);
        assert_int_equal(work.n_lost, 0);
        assert_true(work.sum_s < 0.8 * least.sum_s);
        assert_true(work.worst_s < least.worst_s);
        assert_true(turns.n_lost > 0 || least.sum_s < turns.sum_s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predicted_work_beats_least_outstanding_and_that_round_robin),
    };
    return cmocka_run_group_tests_name("unequal", tests, NULL, NULL);
}
