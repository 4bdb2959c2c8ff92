/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/memory/test_prefix.c - pages are found by their text, shared, and evicted in order. */
#include "support/check.h"

#include <stdbool.h>
#include <string.h>

#include "memory/prefix.h"

enum { N_PAGES = 12, PAGE_TOKENS = 4, TEXT_PAGES_MAX = 6, N_TEXTS = 24, ROUNDS = 20000 };

/* A text of n pages; `letters` names each page's tokens. */
struct text {
    int32_t tokens[TEXT_PAGES_MAX * PAGE_TOKENS];
    uint32_t pages[TEXT_PAGES_MAX];
    uint32_t n;
    uint64_t salt;
};

static struct text text_of(const char *letters)
{
    struct text t = { .n = (uint32_t)strlen(letters) };

    for (uint32_t i = 0; i < t.n * PAGE_TOKENS; i++)
        t.tokens[i] = letters[i / PAGE_TOKENS] * 100 + (int32_t)(i % PAGE_TOKENS);
    return t;
}

static int set_up(void **state)
{
    return prefix_new(N_PAGES, PAGE_TOKENS, (struct prefix **)state, NULL) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    prefix_free(*state);
    return 0;
}

/* Hold what is known of the text, take pages for the rest and fill them.
 * Returns the number of pages found, or -1 where there was no room. */
static int compute(struct prefix *p, struct text *t)
{
    const uint32_t n_found = prefix_find(p, t->salt, t->tokens, t->n, t->pages);

    if (prefix_take(p, t->n - n_found, t->pages + n_found) != ST_OK) {
        prefix_release(p, t->pages, n_found);
        return -1;
    }
    for (uint32_t i = n_found; i < t->n; i++)
        t->pages[i] = prefix_keep(p, t->salt, i > 0 ? t->pages[i - 1] : PREFIX_ROOT,
                                  t->tokens + (size_t)i * PAGE_TOKENS, t->pages[i]);
    return (int)n_found;
}

static void expect_found(struct prefix *p, const char *letters, int want)
{
    struct text t = text_of(letters);
    const int found = (int)prefix_find(p, 0, t.tokens, t.n, t.pages);

    if (found != want)
        fail_msg("%s: %d pages found, not %d", letters, found, want);
    prefix_release(p, t.pages, (uint32_t)found);
}

static void a_text_is_found_as_far_as_it_is_known(void **state)
{
    struct text t = text_of("abc");

    assert_int_equal(compute(*state, &t), 0);
    expect_found(*state, "abc", 3); /* while it is held, and after */
    prefix_release(*state, t.pages, 3);
    assert_int_equal(prefix_n_held(*state), 0);
    assert_int_equal(prefix_n_cached(*state), 3);
    assert_int_equal(prefix_n_available(*state), N_PAGES);
    expect_found(*state, "abc", 3);
    expect_found(*state, "abcd", 3);
    expect_found(*state, "abd", 2);
    expect_found(*state, "bc", 0); /* the same tokens elsewhere are not the same keys */
    expect_found(*state, "acb", 1);
    assert_int_equal(prefix_n_cached(*state), 3);
}

static void a_page_with_another_past_is_another_page(void **state)
{
    struct text t = text_of("ax"), u = text_of("bx");

    assert_int_equal(compute(*state, &t), 0);
    assert_int_equal(compute(*state, &u), 0);
    assert_int_not_equal(t.pages[1], u.pages[1]);
    prefix_release(*state, t.pages, 2);
    prefix_release(*state, u.pages, 2);
}

static void another_salt_is_another_text(void **state)
{
    struct text t = text_of("ab"), u = text_of("ab"), again = text_of("ab");

    t.salt = 1;
    u.salt = again.salt = 2;
    assert_int_equal(compute(*state, &t), 0);
    expect_found(*state, "ab", 0);
    assert_int_equal(compute(*state, &u), 0);
    assert_int_equal(compute(*state, &again), 2);
    assert_true(u.pages[0] == again.pages[0] && u.pages[0] != t.pages[0]);
    prefix_release(*state, t.pages, 2);
    prefix_release(*state, u.pages, 2);
    prefix_release(*state, again.pages, 2);
    assert_int_equal(prefix_n_cached(*state), 4);
}

static void who_fills_the_same_page_shares_it(void **state)
{
    struct text first = text_of("ab"), second = text_of("ab");

    assert_int_equal(prefix_take(*state, 2, first.pages), ST_OK); /* both begin before either */
    assert_int_equal(prefix_take(*state, 2, second.pages), ST_OK);
    assert_int_equal(prefix_n_held(*state), 4);
    first.pages[0] = prefix_keep(*state, 0, PREFIX_ROOT, first.tokens, first.pages[0]);
    second.pages[0] = prefix_keep(*state, 0, PREFIX_ROOT, second.tokens, second.pages[0]);
    assert_int_equal(first.pages[0], second.pages[0]);
    assert_int_equal(prefix_n_held(*state), 3);
    prefix_release(*state, first.pages, 2);
    assert_int_equal(prefix_n_cached(*state), 0); /* the second one holds it still */
    prefix_release(*state, second.pages, 2);
    assert_int_equal(prefix_n_cached(*state), 1);
    assert_int_equal(prefix_n_available(*state), N_PAGES);
}

static void the_least_recently_used_go_first_and_parents_last(void **state)
{
    struct text t = text_of("abc"), u = text_of("def"), big = text_of("uvwxyz"),
                more = text_of("g");
    uint32_t ids[2];

    assert_int_equal(compute(*state, &t), 0);
    prefix_release(*state, t.pages, 3);
    assert_int_equal(compute(*state, &u), 0);
    prefix_release(*state, u.pages, 3);
    expect_found(*state, "ab", 2); /* used again: only "c" is older than "def" */
    assert_int_equal(compute(*state, &big), 0);
    assert_int_equal(compute(*state, &more), 0);
    expect_found(*state, "def", 3);
    expect_found(*state, "abc", 2);
    assert_int_equal(prefix_take(*state, 2, ids), ST_OK);
    expect_found(*state, "def", 1);
    expect_found(*state, "abc", 2);
    prefix_release(*state, ids, 2);
    prefix_release(*state, big.pages, 6);
    prefix_release(*state, more.pages, 1);
}

static void held_pages_are_never_taken(void **state)
{
    struct text t = text_of("abcdef");
    uint32_t ids[N_PAGES] = { 77 };

    assert_int_equal(compute(*state, &t), 0);
    assert_int_equal(prefix_take(*state, N_PAGES - 5, ids), ST_FULL);
    assert_int_equal(ids[0], 77);
    assert_int_equal(prefix_take(*state, N_PAGES - 6, ids), ST_OK);
    assert_int_equal(prefix_n_available(*state), 0);
    prefix_release(*state, ids, N_PAGES - 6);
    prefix_release(*state, t.pages, 6);
}

static uint32_t next_random(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u; /* Numerical Recipes */
    return *x >> 16;
}

/* What each page holds, by the letters up to it, must be what its finder asked for. */
static void whatever_happens_a_page_holds_the_text_it_is_found_by(void **state)
{
    struct prefix *p = *state;
    char held[N_PAGES][TEXT_PAGES_MAX + 1] = { { 0 } };
    struct text running[N_TEXTS];
    uint32_t n_running = 0, x = 7, n_found = 0;

    for (int round = 0; round < ROUNDS; round++) {
        char letters[TEXT_PAGES_MAX + 1] = { 0 };
        const uint32_t n = 1 + next_random(&x) % TEXT_PAGES_MAX;
        struct text t;
        int found;

        for (uint32_t i = 0; i < n; i++)
            letters[i] = (char)('a' + next_random(&x) % 2);
        t = text_of(letters);
        found = n_running < N_TEXTS ? compute(p, &t) : -1;
        for (uint32_t i = 0; found >= 0 && i < n; i++) {
            char *page = held[t.pages[i]];

            if ((int)i < found)
                assert_true(memcmp(page, letters, i + 1) == 0 && page[i + 1] == 0);
            memset(page, 0, sizeof(held[0]));
            memcpy(page, letters, i + 1);
        }
        if (found >= 0) {
            n_found += (uint32_t)found;
            running[n_running++] = t;
        }
        if (n_running > 0 && (found < 0 || next_random(&x) % 3 == 0)) {
            const uint32_t k = next_random(&x) % n_running;

            prefix_release(p, running[k].pages, running[k].n);
            running[k] = running[--n_running];
        }
    }
    while (n_running > 0) {
        n_running--;
        prefix_release(p, running[n_running].pages, running[n_running].n);
    }
    assert_true(n_found > ROUNDS / 2);
    assert_int_equal(prefix_n_held(p), 0);
    assert_int_equal(prefix_n_available(p), N_PAGES);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_text_is_found_as_far_as_it_is_known),
        CASE(a_page_with_another_past_is_another_page),
        CASE(another_salt_is_another_text),
        CASE(who_fills_the_same_page_shares_it),
        CASE(the_least_recently_used_go_first_and_parents_last),
        CASE(held_pages_are_never_taken),
        CASE(whatever_happens_a_page_holds_the_text_it_is_found_by),
    };

    return cmocka_run_group_tests_name("memory/prefix", tests, NULL, NULL);
}
