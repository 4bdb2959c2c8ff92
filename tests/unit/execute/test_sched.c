/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_sched.c - decodes first, then prompts, then admission, in order. */
#include "support/check.h"

#include <string.h>

#include "execute/sched.h"

enum { N_MAX = 5 };

struct scene {
    const char *fact;
    struct sched_limits limits;
    size_t n;
    struct sched_entry entries[N_MAX];
    uint32_t rows[N_MAX];
};

static const struct scene scenes[] = {
    { "nothing to do", { 8, 8, 8, 4, 10 }, 0, { { 0 } }, { 0 } },
    { "a decode goes before an older prompt",
      { 8, 8, 8, 4, 10 },
      2,
      { { true, 100, 0, 4 }, { true, 1, 0, 1 } },
      { 7, 1 } },
    { "prompts fill the budget oldest first",
      { 10, 8, 8, 4, 10 },
      3,
      { { true, 6, 0, 1 }, { true, 6, 0, 1 }, { true, 6, 0, 1 } },
      { 6, 4, 0 } },
    { "a waiting sequence is admitted with what is left",
      { 10, 8, 8, 4, 10 },
      2,
      { { true, 1, 0, 1 }, { false, 30, 0, 4 } },
      { 1, 9 } },
    { "no pages for the oldest waiting one: nobody overtakes it",
      { 10, 8, 8, 4, 3 },
      3,
      { { true, 1, 0, 1 }, { false, 5, 0, 4 }, { false, 2, 0, 1 } },
      { 1, 0, 0 } },
    { "pages of one admission are not there for the next",
      { 64, 8, 8, 4, 5 },
      3,
      { { false, 5, 0, 3 }, { false, 5, 0, 2 }, { false, 5, 0, 1 } },
      { 5, 5, 0 } },
    { "no more than max_sequences run",
      { 64, 8, 8, 2, 50 },
      3,
      { { true, 1, 0, 1 }, { false, 5, 0, 1 }, { false, 5, 0, 1 } },
      { 1, 5, 0 } },
    { "a waiting single token is no decode",
      { 1, 8, 8, 4, 50 },
      2,
      { { false, 1, 0, 1 }, { true, 1, 0, 1 } },
      { 0, 1 } },
    { "a full budget admits nobody",
      { 2, 8, 8, 4, 50 },
      3,
      { { true, 1, 0, 1 }, { true, 1, 0, 1 }, { false, 1, 0, 1 } },
      { 1, 1, 0 } },
    { "a sequence under way waits for its step",
      { 8, 8, 8, 4, 10 },
      2,
      { { true, 0, 0, 1 }, { true, 1, 0, 1 } },
      { 0, 1 } },
    { "decodes are dealt to several steps, prompts are not",
      { 8, 8, 1, 4, 10 },
      3,
      { { true, 1, 0, 1 }, { true, 1, 0, 1 }, { true, 5, 0, 1 } },
      { 1, 0, 5 } },
    { "guesses share the rows that prompts leave",
      { 10, 8, 8, 4, 10 },
      3,
      { { true, 1, 4, 1 }, { true, 1, 4, 1 }, { true, 5, 0, 1 } },
      { 3, 2, 5 } },
    { "guesses have no more rows of logits than there are",
      { 20, 4, 8, 4, 10 },
      3,
      { { true, 1, 4, 1 }, { true, 5, 0, 1 }, { true, 1, 0, 1 } },
      { 2, 5, 1 } },
};

static void the_table_of_decisions_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        const struct scene *s = &scenes[i];
        uint32_t rows[N_MAX] = { 0 }, sum = 0;
        const uint32_t n = sched_plan(s->entries, s->n, &s->limits, rows);

        for (size_t k = 0; k < s->n; k++)
            sum += s->rows[k];
        if (memcmp(rows, s->rows, sizeof(rows)) != 0 || n != sum)
            fail_msg("%s: %u rows: %u %u %u", s->fact, n, rows[0], rows[1], rows[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_table_of_decisions_holds) };

    return cmocka_run_group_tests_name("execute/sched", tests, NULL, NULL);
}
