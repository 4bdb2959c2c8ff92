/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/company.h - sequences with different sampling, run together in one driver.
 *
 * The tokens of each must not depend on how the model is cut, on the
 * company, or on how prompts are chunked: tests compare whole companies.
 */
#ifndef POMONA_TESTS_SUPPORT_COMPANY_H
#define POMONA_TESTS_SUPPORT_COMPANY_H

#include "execute/driver.h"

enum { COMPANY_MAX = 6, COMPANY_TOKENS_MAX = 64, COMPANY_PROMPT_MAX = 128 };

struct company_member {
    int32_t tokens[COMPANY_TOKENS_MAX];
    size_t n;
    enum finish_reason finish;
};

struct company {
    uint32_t n_members;
    uint32_t n_prompt; /* of the first; each next has as many more, up to COMPANY_PROMPT_MAX */
    uint32_t max_tokens;
    uint32_t n_vocab;
    struct company_member members[COMPANY_MAX];
};

static inline void company_on_token(void *arg, const struct token_event *event,
                                    const struct err *failure)
{
    struct company_member *m = arg;

    assert_null(failure);
    assert_true(m->n < COMPANY_TOKENS_MAX);
    m->tokens[m->n++] = event->token;
    m->finish = event->finish;
}

/* Member 0 is greedy; the others sample, each in its own way. */
static inline struct sampling company_sampling(uint32_t i)
{
    struct sampling s;

    sampling_init(&s);
    s.seed = 1000 + i;
    s.temperature = i == 0 ? 0 : 0.7f + 0.2f * (float)i;
    s.top_p = i % 2 == 1 ? 0.9f : 1;
    s.top_k = i == 2 ? 40 : 0;
    s.repetition_penalty = i == 3 ? 1.2f : 1;
    s.min_p = i == 4 ? 0.05f : 0;
    return s;
}

static inline void company_run(struct company *c, struct driver *driver)
{
    struct err err = { 0 };

    for (uint32_t i = 0; i < c->n_members; i++) {
        int32_t prompt[COMPANY_PROMPT_MAX];
        struct generation g = { .prompt = prompt, .max_tokens = c->max_tokens };
        uint64_t id;

        g.n_prompt =
            c->n_prompt * (i + 1) < COMPANY_PROMPT_MAX ? c->n_prompt * (i + 1) : COMPANY_PROMPT_MAX;
        for (size_t k = 0; k < g.n_prompt; k++)
            prompt[k] = (int32_t)((k * 7919 + i * 104729 + 17) % c->n_vocab);
        g.sampling = company_sampling(i);
        c->members[i] = (struct company_member){ .n = 0 };
        assert_ok(driver_submit(driver, &g, i, company_on_token, &c->members[i], &id, &err), err);
    }
    while (driver_has_work(driver))
        assert_ok(driver_step(driver, &err), err);
}

static inline void company_assert_equal(const struct company *a, const struct company *b)
{
    for (uint32_t i = 0; i < a->n_members; i++) {
        assert_int_equal(a->members[i].n, b->members[i].n);
        assert_memory_equal(a->members[i].tokens, b->members[i].tokens,
                            a->members[i].n * sizeof(int32_t));
    }
}

#endif
