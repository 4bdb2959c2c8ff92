/* SPDX-License-Identifier: Apache-2.0 */
/* tests/arm64/cmocka.h - the part of cmocka that the engine's tests use, as one header.
 *
 * An emulated program finds no libraries of its architecture on the machine that emulates it.
 * A check that fails prints where and ends the process: the first failure is the only one.
 */
#ifndef POMONA_TESTS_ARM64_CMOCKA_H
#define POMONA_TESTS_ARM64_CMOCKA_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*set_up)(void **state);
    int (*tear_down)(void **state);
};

#define cmocka_unit_test(f)               cmocka_unit_test_setup_teardown(f, NULL, NULL)
#define cmocka_unit_test_setup(f, set_up) cmocka_unit_test_setup_teardown(f, set_up, NULL)
#define cmocka_unit_test_setup_teardown(f, set_up, tear_down)                                      \
    {                                                                                              \
#f, f, set_up, tear_down                                                                   \
    }

#define print_message(...) printf(__VA_ARGS__)

#define fail_msg(...)                                                                              \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n");                                                                     \
        exit(EXIT_FAILURE);                                                                        \
    } while (0)

#define fail() fail_msg("reached what must not be reached")

#define assert_true(x)                                                                             \
    do {                                                                                           \
        if (!(x))                                                                                  \
            fail_msg("%s does not hold", #x);                                                      \
    } while (0)

#define assert_false(x)              assert_true(!(x))
#define assert_null(p)               assert_true((p) == NULL)
#define assert_non_null(p)           assert_true((p) != NULL)
#define assert_ptr_equal(a, b)       assert_true((a) == (b))
#define assert_int_equal(a, b)       assert_true((a) == (b))
#define assert_int_not_equal(a, b)   assert_true((a) != (b))
#define assert_float_equal(a, b, by) assert_true(fabs((double)(a) - (double)(b)) <= (double)(by))
#define assert_string_equal(a, b)    assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)

#define cmocka_run_group_tests(tests, set_up, tear_down)                                           \
    cmocka_run_group_tests_name(#tests, tests, set_up, tear_down)
#define cmocka_run_group_tests_name(name, tests, set_up, tear_down)                                \
    run_group(name, tests, sizeof(tests) / sizeof(tests[0]), set_up, tear_down)

static inline int run_one(const struct CMUnitTest *test, void *state)
{
    printf("%s\n", test->name);
    fflush(stdout);
    if (test->set_up && test->set_up(&state) != 0)
        return 1;
    test->run(&state);
    return test->tear_down ? test->tear_down(&state) : 0;
}

static inline int run_group(const char *name, const struct CMUnitTest *tests, size_t n,
                            int (*set_up)(void **state), int (*tear_down)(void **state))
{
    void *state = NULL;
    int s = set_up ? set_up(&state) : 0;

    printf("%s: %zu tests\n", name, n);
    for (size_t i = 0; s == 0 && i < n; i++)
        s = run_one(&tests[i], state);
    return s == 0 && tear_down ? tear_down(&state) : s;
}

#endif
