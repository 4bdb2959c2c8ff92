/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_remote.c - what nodes say is understood, and what is no such thing refused. */
#include "support/check.h"

#include <string.h>

#include "monitor/remote.h"

static const char STATE[] =
    "{\"cluster\":\"c\",\"node\":\"a\",\"version\":\"0.1.0\",\"nodes\":["
    "{\"name\":\"a\",\"version\":\"0.1.0\",\"alive\":true,\"connected\":true,\"datagrams\":true,\"local\":true,"
    "\"draining\":false,\"rtt_ms\":0.000},{\"name\":\"b\\u0007\",\"alive\":true,\"rtt_ms\":1.5}],"
    "\"instances\":[{\"id\":\"abc\",\"model\":\"m\",\"state\":\"ready\",\"active\":1,\"waiting\":2,"
    "\"generated_tokens\":77,\"shards\":[{\"node\":\"a\",\"first_layer\":0,\"n_layers\":3}]},{\"id\":\"def\"}],"
    "\"wanted\":[{\"model\":\"m\",\"copies\":2}],"
    "\"links\":[{\"from\":\"a\",\"to\":\"b\",\"host\":\"10.0.0.1\",\"answers\":false}]}";

static void a_state_is_read(void **state)
{
    struct remote_state s;
    struct err err;

    (void)state;
    assert_ok(remote_state_read(STATE, strlen(STATE), &s, &err), err);
    assert_int_equal(s.n_members, 2);
    assert_true(s.members[0].is_local && s.members[0].has_datagrams);
    assert_string_equal(s.members[1].name, "b?");
    assert_true(s.members[1].rtt_ms == 1.5);
    assert_int_equal(s.n_instances, 2);
    assert_true(s.instances[0].is_ready);
    assert_int_equal(s.instances[0].n_generated, 77);
    assert_false(s.instances[1].is_ready);
    assert_int_not_equal(s.instances[0].signature, s.instances[1].signature);
    assert_int_equal(s.wanted[0].n_copies, 2);
    assert_false(s.links[0].answers);
    remote_state_release(&s);
}

static void what_is_no_object_is_refused(void **state)
{
    static const char *const bad[] = { "", "[]", "7", "{\"nodes\":", "<html>", "\"x\"" };
    struct remote_state s;
    struct remote_ready r;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(remote_state_read(bad[i], strlen(bad[i]), &s, &err), ST_FORMAT);
        assert_int_equal(remote_ready_read(bad[i], strlen(bad[i]), &r, &err), ST_FORMAT);
    }
}

static void a_list_of_anything_is_bounded(void **state)
{
    char body[3 * REMOTE_LIST_MAX + 64] = "{\"links\":[";
    struct remote_state s;
    struct err err;
    size_t n = strlen(body);

    (void)state;
    for (int i = 0; i <= REMOTE_LIST_MAX; i++) {
        memcpy(body + n, i ? ",1" : "1", 2);
        n += i ? 2 : 1;
    }
    memcpy(body + n, "]}", 2);
    assert_int_equal(remote_state_read(body, n + 2, &s, &err), ST_FORMAT);
}

static void readiness_is_read(void **state)
{
    static const char body[] =
        "{\"status\":\"draining\",\"node\":\"a\",\"version\":\"1\",\"unix_ms\":1700000000123}";
    struct remote_ready r;
    struct err err;

    (void)state;
    assert_ok(remote_ready_read(body, strlen(body), &r, &err), err);
    assert_string_equal(r.status, "draining");
    assert_int_equal(r.unix_ms, 1700000000123);
}

static void samples_are_read_and_other_lines_passed_over(void **state)
{
    const char *at =
        "# HELP x y\n# TYPE x gauge\nx 1\n\nnonsense\nx{a=\"b\\\"c\\\\\",d=\"e\"} 2.5e3\n"
        "x{le=\"+Inf\"} +Inf\nbad{a=\"} 1\nbad{a} 1\nx_total 7 1700000000\nend 3";
    struct remote_sample s;

    (void)state;
    assert_true(remote_sample_next(&at, &s));
    assert_string_equal(s.name, "x");
    assert_true(s.value == 1 && s.label[0] == '\0');
    assert_true(remote_sample_next(&at, &s));
    assert_string_equal(s.label, "a");
    assert_string_equal(s.label_value, "b\"c\\");
    assert_true(s.value == 2500);
    assert_true(remote_sample_next(&at, &s));
    assert_string_equal(s.name, "x_total");
    assert_true(s.value == 7);
    assert_true(remote_sample_next(&at, &s));
    assert_string_equal(s.name, "end");
    assert_false(remote_sample_next(&at, &s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_is_read),
        cmocka_unit_test(what_is_no_object_is_refused),
        cmocka_unit_test(a_list_of_anything_is_bounded),
        cmocka_unit_test(readiness_is_read),
        cmocka_unit_test(samples_are_read_and_other_lines_passed_over),
    };
    return cmocka_run_group_tests_name("monitor/remote", tests, NULL, NULL);
}
