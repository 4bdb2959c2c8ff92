/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_options.c - what a command line may say, and what it may not. */
#include "support/check.h"

#include <stdlib.h>

#include "base/size.h"
#include "cmd/options.h"

/* Targets as a subcommand would have them, with their defaults. */
struct values {
    bool is_quiet, is_json;
    const char *name;
    uint32_t count;
    uint64_t seed;
    double heat;
    const char *args[OPTIONS_ARGS_MAX];
    int exit_status;
};

enum { WORDS_MAX = 12 };

static bool parse(struct values *v, const char *const *words)
{
    const struct app app = { .program = "pomona", .command = "test" };
    const struct option_row rows[] = {
        { "quiet", 'q', NULL, "say less", OPTION_FLAG, &v->is_quiet, 0, 0 },
        { "json", 'j', NULL, "say it in JSON", OPTION_FLAG, &v->is_json, 0, 0 },
        { "name", 0, "NAME", "a name", OPTION_TEXT, &v->name, 0, 0 },
        { "count", 'n', "N", "a count", OPTION_U32, &v->count, 1, 100 },
        { "seed", 's', "N", "a seed", OPTION_U64, &v->seed, 0, 0 },
        { "heat", 't', "T", "a real number", OPTION_REAL, &v->heat, 0, 2 },
    };
    const struct usage usage = {
        .arguments = "A [B]",
        .min_args = 1,
        .max_args = 2,
        .about = "A test.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
    };
    char *argv[WORDS_MAX + 1] = { NULL };
    int argc = 0;

    *v = (struct values){ .count = 7, .seed = 8, .heat = 0.5, .exit_status = -1 };
    for (; words[argc]; argc++)
        argv[argc] = (char *)words[argc];
    return options_parse(&app, &usage, argc, argv, v->args, &v->exit_status);
}

#define PARSE(v, ...) parse(v, (const char *const[]){ "test", __VA_ARGS__, NULL })

static void what_is_not_given_keeps_its_default(void **state)
{
    struct values v;

    (void)state;
    assert_true(PARSE(&v, "x"));
    assert_int_equal(v.count, 7);
    assert_int_equal(v.seed, 8);
    assert_false(v.is_quiet);
    assert_string_equal(v.args[0], "x");
    assert_null(v.args[1]);
}

static void every_spelling_sets_the_same_target(void **state)
{
    struct values v;

    (void)state;
    assert_true(PARSE(&v, "--count", "9", "x", "--name=a=b", "-t1.5", "-s", "9223372036854775807"));
    assert_int_equal(v.count, 9);
    assert_string_equal(v.name, "a=b");
    assert_true(v.heat == 1.5);
    assert_true(v.seed == INT64_MAX);
    assert_true(PARSE(&v, "-qjn", "3", "x"));
    assert_true(v.is_quiet && v.is_json);
    assert_int_equal(v.count, 3);
}

static void after_two_dashes_everything_is_an_argument(void **state)
{
    struct values v;

    (void)state;
    assert_true(PARSE(&v, "x", "--", "--quiet"));
    assert_string_equal(v.args[1], "--quiet");
    assert_false(v.is_quiet);
    assert_true(PARSE(&v, "-", "--"));
    assert_string_equal(v.args[0], "-");
}

static void wrong_use_is_refused_with_status_2(void **state)
{
    static const char *const wrong[][4] = {
        { "--nothing", "x" },
        { "-z", "x" },
        { "--quiet=1", "x" },
        { "x", "--count" },
        { "--count=", "x" },
        { "--count=0", "x" },
        { "--count=101", "x" },
        { "--count=1x", "x" },
        { "--count=-1", "x" },
        { "--count= 1", "x" },
        { "--seed=9223372036854775808", "x" },
        { "--heat=nan", "x" },
        { "--heat=2.5", "x" },
        { "--name=", "x" },
        { "x", "y", "z" },
        { "--quiet" },
    };
    struct values v;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        const char *const *w = wrong[i];

        assert_false(PARSE(&v, w[0], w[1], w[2]));
        assert_int_equal(v.exit_status, EXIT_WRONG_USE);
    }
}

static void help_wins_over_everything_else(void **state)
{
    struct values v;

    (void)state;
    assert_false(PARSE(&v, "--nothing", "--help"));
    assert_int_equal(v.exit_status, EXIT_FINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_keeps_its_default),
        cmocka_unit_test(every_spelling_sets_the_same_target),
        cmocka_unit_test(after_two_dashes_everything_is_an_argument),
        cmocka_unit_test(wrong_use_is_refused_with_status_2),
        cmocka_unit_test(help_wins_over_everything_else),
    };

    return cmocka_run_group_tests_name("cmd/options", tests, NULL, NULL);
}
