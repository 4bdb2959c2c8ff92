/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_monitor_memory.c - without memory a list is not made or a state not read, and nothing leaks. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "monitor/ledger.h"
#include "monitor/notice.h"
#include "monitor/remote.h"
#include "support/allocations.h"

static void on_change(void *arg, const struct ledger_change *change)
{
    (void)arg;
    (void)change;
}

static void a_ledger_is_made_or_not(void **state)
{
    bool is_over = false;

    (void)state;
    for (size_t k = 1; !is_over; k++) {
        struct ledger *l = NULL;
        struct err err;
        enum status s;

        allocations_fail_at(k);
        s = ledger_new(on_change, NULL, &l, &err);
        for (uint64_t i = 0; s == ST_OK && i < 100; i++) {
            char subject[SUBJECT_MAX] = { 'a', (char)('0' + i), '\0' };

            ledger_observe(l, subject, CHECK_NODE_UP, 1, NULL,
                           1); /* one for which there is no room is left out */
        }
        is_over = !allocations_failed();
        allocations_fail_at(0);
        assert_true(s == ST_OK || s == ST_NOMEM);
        ledger_free(l);
    }
}

static void a_state_is_read_or_not(void **state)
{
    static const char text[] = "{\"nodes\":[{\"name\":\"a\"}],\"instances\":[{\"id\":\"i\"}],"
                               "\"links\":[{\"from\":\"a\"}],\"wanted\":[{\"model\":\"m\"}]}";
    bool is_over = false;

    (void)state;
    for (size_t k = 1; !is_over; k++) {
        struct remote_state s = { 0 };
        struct err err;
        enum status status;

        allocations_fail_at(k);
        status = remote_state_read(text, strlen(text), &s, &err);
        is_over = !allocations_failed();
        allocations_fail_at(0);
        assert_int_equal(status, is_over ? ST_OK : ST_NOMEM);
        remote_state_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_is_made_or_not),
        cmocka_unit_test(a_state_is_read_or_not),
    };
    return cmocka_run_group_tests_name("monitor/monitor_memory", tests, NULL, NULL);
}
