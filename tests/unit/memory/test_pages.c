/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/memory/test_pages.c - pages are taken whole, shared, and freed by the last holder. */
#include "support/check.h"

#include <stdbool.h>

#include "memory/pages.h"

enum { N_PAGES = 8 };

static int set_up(void **state)
{
    return pages_new(N_PAGES, (struct pages **)state, NULL) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    pages_free(*state);
    return 0;
}

static void every_page_is_given_out_once(void **state)
{
    uint32_t ids[N_PAGES];
    bool seen[N_PAGES] = { false };

    assert_int_equal(pages_take(*state, N_PAGES, ids), ST_OK);
    for (int i = 0; i < N_PAGES; i++) {
        assert_in_range(ids[i], 0, N_PAGES - 1);
        assert_false(seen[ids[i]]);
        seen[ids[i]] = true;
    }
    assert_int_equal(pages_n_free(*state), 0);
    assert_int_equal(pages_n_used(*state), N_PAGES);
}

static void taking_too_many_takes_none(void **state)
{
    uint32_t ids[N_PAGES + 1] = { 77 };

    assert_int_equal(pages_take(*state, N_PAGES + 1, ids), ST_FULL);
    assert_int_equal(ids[0], 77);
    assert_int_equal(pages_n_free(*state), N_PAGES);
}

static void a_shared_page_is_free_after_its_last_holder(void **state)
{
    uint32_t id;

    assert_int_equal(pages_take(*state, 1, &id), ST_OK);
    pages_hold(*state, id);
    pages_release(*state, id);
    assert_int_equal(pages_n_used(*state), 1);
    pages_release(*state, id);
    assert_int_equal(pages_n_used(*state), 0);
}

static void a_released_page_is_given_out_again(void **state)
{
    uint32_t ids[N_PAGES], again;

    assert_int_equal(pages_take(*state, N_PAGES, ids), ST_OK);
    pages_release(*state, ids[3]);
    assert_int_equal(pages_take(*state, 1, &again), ST_OK);
    assert_int_equal(again, ids[3]);
}

static void a_pool_of_nothing_is_refused(void **state)
{
    struct pages *none = NULL;

    (void)state;
    assert_int_equal(pages_new(0, &none, NULL), ST_RANGE);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_page_is_given_out_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(taking_too_many_takes_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shared_page_is_free_after_its_last_holder, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_released_page_is_given_out_again, set_up, tear_down),
        cmocka_unit_test(a_pool_of_nothing_is_refused),
    };

    return cmocka_run_group_tests_name("memory/pages", tests, NULL, NULL);
}
