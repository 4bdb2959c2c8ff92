/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_sched.c - who is admitted, who gets rows, who makes room. */
#include "support/check.h"

#include <string.h>

#include "execute/sched.h"

enum { N_MAX = 5 };

#define I PRIORITY_INTERACTIVE
#define B PRIORITY_BATCH

#define RUNNING(p, pending)                                                                        \
    {                                                                                              \
        .is_running = true, .priority = (p), .n_pending = (pending)                                \
    }
#define GUESSING(pending, drafts)                                                                  \
    {                                                                                              \
        .is_running = true, .n_pending = (pending), .n_drafts = (drafts)                           \
    }
#define SHORT(pending)                                                                             \
    {                                                                                              \
        .is_running = true, .n_pending = (pending), .is_short = true                               \
    }
#define UNDER_WAY(p)                                                                               \
    {                                                                                              \
        .is_running = true, .is_under_way = true, .priority = (p)                                  \
    }
#define WAITING(p, served_)                                                                        \
    {                                                                                              \
        .priority = (p), .n_pending = 9, .served = (served_)                                       \
    }
#define PASSED_OVER                                                                                \
    {                                                                                              \
        .is_passed_over = true, .n_pending = 9                                                     \
    }

struct scene {
    const char *fact;
    struct sched_limits limits;
    size_t n;
    struct sched_entry entries[N_MAX];
    uint32_t rows[N_MAX];
};

/* limits: rows, prompt rows, rows with short prompts, logit rows, decodes */
static const struct scene scenes[] = {
    { "nothing to do", { 8, 8, 0, 8, 8 }, 0, { { 0 } }, { 0 } },
    { "a decode goes before an older prompt",
      { 8, 8, 0, 8, 8 },
      2,
      { RUNNING(I, 100), RUNNING(I, 1) },
      { 7, 1 } },
    { "the oldest prompt has a quarter, the shortest the rest",
      { 16, 16, 0, 8, 8 },
      3,
      { RUNNING(I, 100), RUNNING(I, 30), RUNNING(I, 9) },
      { 4, 3, 9 } },
    { "prompts have no more rows than they may",
      { 16, 5, 0, 8, 8 },
      3,
      { RUNNING(I, 1), RUNNING(I, 100), RUNNING(I, 30) },
      { 1, 2, 3 } },
    { "interactive prompts go before shorter and older ones of a batch",
      { 20, 20, 0, 8, 8 },
      3,
      { RUNNING(B, 10), RUNNING(I, 12), RUNNING(B, 5) },
      { 3, 12, 5 } },
    { "one row for prompts is the oldest's",
      { 16, 1, 0, 8, 8 },
      2,
      { RUNNING(I, 100), RUNNING(I, 3) },
      { 1, 0 } },
    { "who waits has no rows", { 8, 8, 0, 8, 8 }, 2, { WAITING(I, 0), RUNNING(I, 1) }, { 0, 1 } },
    { "a sequence under way waits for its step",
      { 8, 8, 0, 8, 8 },
      2,
      { UNDER_WAY(I), RUNNING(I, 1) },
      { 0, 1 } },
    { "decodes are dealt to several steps, prompts are not",
      { 8, 8, 0, 8, 1 },
      3,
      { RUNNING(I, 1), RUNNING(I, 1), RUNNING(I, 5) },
      { 1, 0, 5 } },
    { "guesses share the rows that prompts leave",
      { 10, 10, 0, 8, 8 },
      3,
      { GUESSING(1, 4), GUESSING(1, 4), RUNNING(I, 5) },
      { 3, 2, 5 } },
    { "short prompts have rows beyond those of all prompts, the nearest to its end first",
      { 30, 4, 12, 8, 8 },
      4,
      { RUNNING(I, 1), RUNNING(I, 100), SHORT(20), SHORT(6) },
      { 1, 1, 5, 6 } },
    { "a prompt that is not short has none of these",
      { 30, 4, 12, 8, 8 },
      2,
      { RUNNING(I, 100), SHORT(5) },
      { 1, 5 } },
    { "guesses have no more rows of logits than there are",
      { 20, 20, 0, 4, 8 },
      3,
      { GUESSING(1, 4), RUNNING(I, 5), RUNNING(I, 1) },
      { 2, 5, 1 } },
};

static void the_table_of_rows_holds(void **state)
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

struct choice_scene {
    const char *fact;
    size_t for_entry; /* of a victim */
    struct sched_entry entries[N_MAX];
    size_t want; /* N_MAX: nobody */
};

static const struct choice_scene admissions[] = {
    { "the oldest first", 0, { RUNNING(I, 1), WAITING(I, 0), WAITING(I, 0) }, 1 },
    { "interactive before an older batch", 0, { WAITING(B, 0), WAITING(I, 50), WAITING(B, 0) }, 1 },
    { "the tenant served least first", 0, { WAITING(I, 70), WAITING(I, 30), WAITING(I, 30) }, 1 },
    { "not who was passed over", 0, { PASSED_OVER, WAITING(B, 0) }, 1 },
    { "nobody waits", 0, { RUNNING(I, 1), UNDER_WAY(B) }, N_MAX },
};

static const struct choice_scene victims[] = {
    { "a newcomer takes room from the latest of the batch",
      0,
      { WAITING(I, 0), RUNNING(B, 1), RUNNING(B, 1), RUNNING(I, 1) },
      2 },
    { "a newcomer takes none from its own kind", 0, { WAITING(I, 0), RUNNING(I, 1) }, N_MAX },
    { "a batch newcomer takes none", 0, { WAITING(B, 0), RUNNING(B, 1) }, N_MAX },
    { "who grows takes from the latest",
      1,
      { RUNNING(I, 1), RUNNING(I, 1), RUNNING(I, 1), RUNNING(I, 1) },
      3 },
    { "who grows takes from a batch first, however old",
      1,
      { RUNNING(B, 1), RUNNING(I, 1), RUNNING(I, 1) },
      0 },
    { "nobody takes from one that stands higher",
      2,
      { RUNNING(I, 1), RUNNING(I, 1), RUNNING(B, 1) },
      N_MAX },
    { "what is under way cannot make room", 0, { RUNNING(I, 1), UNDER_WAY(I) }, N_MAX },
};

static void the_table_of_admissions_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(admissions) / sizeof(admissions[0]); i++)
        if (sched_next(admissions[i].entries, N_MAX) != admissions[i].want)
            fail_msg("%s", admissions[i].fact);
}

static void the_table_of_victims_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++)
        if (sched_victim(victims[i].entries, N_MAX, victims[i].for_entry) != victims[i].want)
            fail_msg("%s", victims[i].fact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_rows_holds),
        cmocka_unit_test(the_table_of_admissions_holds),
        cmocka_unit_test(the_table_of_victims_holds),
    };

    return cmocka_run_group_tests_name("execute/sched", tests, NULL, NULL);
}
