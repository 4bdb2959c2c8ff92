/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_monitor_memory.c - without memory a list is not made or a state not read, and nothing leaks. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "monitor/ledger.h"
#include "monitor/monitor.h"
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

static void a_monitor_is_made_or_not(void **state)
{
    static struct config_node node = { .name = "a", .host = "127.0.0.1", .api_port = 1 };
    static const struct config cluster = { .cluster.name = "c", .nodes = &node, .nodes_count = 1 };
    const struct monitor_options options = {
        .cluster = &cluster,
        .node = "a",
        .data = "/tmp", /* nothing is written before the loop runs */
        .listen_host = "127.0.0.1",
        .listen_port = 0
    };
    bool is_over = false;

    (void)state;
    for (size_t k = 1; !is_over; k++) {
        struct monitor *m = NULL;
        struct loop *loop = NULL;
        struct err err;
        enum status s;

        assert_ok(loop_new(&loop, &err), err);
        allocations_fail_at(k);
        s = monitor_new(loop, &options, &m, &err);
        is_over = !allocations_failed();
        allocations_fail_at(0);
        assert_int_equal(s == ST_OK, m != NULL);
        assert_true(!is_over || s == ST_OK);
        monitor_free(m);
        loop_free(loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ledger_is_made_or_not),
        cmocka_unit_test(a_state_is_read_or_not),
        cmocka_unit_test(a_monitor_is_made_or_not),
    };
    return cmocka_run_group_tests_name("monitor/monitor_memory", tests, NULL, NULL);
}
