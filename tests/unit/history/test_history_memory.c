/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/history/test_history_memory.c - without memory a history is not opened or not read, and nothing leaks. */
#include "support/check.h"

#include "folder.h"
#include "history/history.h"
#include "support/allocations.h"

static void every_allocation_may_fail(void **state)
{
    const struct folder *f = *state;
    bool is_over = false;

    for (size_t k = 1; !is_over; k++) {
        struct history *h = NULL;
        struct history_point *points = NULL;
        struct history_name *names = NULL;
        struct err err = { 0 };
        size_t n;
        int64_t id = 0;
        enum status s;

        allocations_fail_at(k);
        s = history_open(f->path, HISTORY_WRITES, &h, NULL, &err);
        if (s == ST_OK)
            s = history_series(h, "node/a", "cpu", &id, &err);
        for (int64_t t = 0; s == ST_OK && t < 40; t++)
            s = history_add(h, id, t, 1, &err);
        if (s == ST_OK)
            s = history_points(h, "node/a", "cpu", 0, 40, &points, &n, &err);
        if (s == ST_OK)
            s = history_names(h, &names, &n, &err);
        is_over = !allocations_failed();
        allocations_fail_at(0);
        assert_int_equal(s, is_over ? ST_OK : ST_NOMEM);
        free(points);
        free(names);
        history_close(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("history/history_memory", tests, NULL, NULL);
}
