/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_notice.c - what others are told, and how it is signed. */
#include "support/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/notice.h"

static struct notice notice(enum finding_state from, enum finding_state to)
{
    return (struct notice){ .cluster = "c",
                            .monitor = "m",
                            .subject = "node/\"a\"",
                            .words = "gone",
                            .check = "node.up",
                            .about = "it answers",
                            .group = "nodes",
                            .from = from,
                            .to = to,
                            .value = 0,
                            .warning = 0.5,
                            .critical = 0.5,
                            .unix_s = 1700000000 };
}

static json_t *alerts_of(enum finding_state from, enum finding_state to)
{
    const struct notice n = notice(from, to);
    char *text = notice_alerts(&n, 1, 1700000100, 240);
    json_t *list = json_loads(text, 0, NULL);

    assert_true(json_is_array(list));
    free(text);
    return list;
}

static const char *field(const json_t *list, size_t at, const char *section, const char *key)
{
    const json_t *alert = json_array_get(list, at);

    return json_string_value(
        json_object_get(section ? json_object_get(alert, section) : alert, key));
}

static void a_notice_says_what_became_of_what(void **state)
{
    const struct notice n = notice(FINDING_OK, FINDING_CRITICAL);
    char *text = notice_json(&n);
    json_t *root = json_loads(text, 0, NULL);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(root, "subject")), "node/\"a\"");
    assert_string_equal(json_string_value(json_object_get(root, "time")), "2023-11-14T22:13:20Z");
    assert_string_equal(json_string_value(json_object_get(root, "to")), "critical");
    json_decref(root);
    free(text);
}

static void an_alert_of_another_severity_ends_the_one_before(void **state)
{
    json_t *list = alerts_of(FINDING_WARNING, FINDING_CRITICAL);

    (void)state;
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(field(list, 0, "labels", "severity"), "warning");
    assert_string_equal(field(list, 0, NULL, "endsAt"), "2023-11-14T22:15:00Z");
    assert_string_equal(field(list, 1, "labels", "severity"), "critical");
    assert_string_equal(field(list, 1, NULL, "endsAt"), "2023-11-14T22:19:00Z");
    json_decref(list);
}

static void what_is_over_ends_and_what_goes_on_is_kept(void **state)
{
    json_t *over = alerts_of(FINDING_CRITICAL, FINDING_OK);
    json_t *on = alerts_of(FINDING_CRITICAL, FINDING_CRITICAL);

    (void)state;
    assert_int_equal(json_array_size(over), 1);
    assert_string_equal(field(over, 0, NULL, "endsAt"), "2023-11-14T22:15:00Z");
    assert_int_equal(json_array_size(on), 1);
    assert_string_equal(field(on, 0, NULL, "endsAt"), "2023-11-14T22:19:00Z");
    json_decref(over);
    json_decref(on);
}

/* As `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef` has it. */
static void a_signature_is_an_hmac_of_time_and_body(void **state)
{
    char signature[NOTICE_SIGNATURE_MAX], other[NOTICE_SIGNATURE_MAX];

    (void)state;
    assert_true(notice_sign("0123456789abcdef", 1700000000, "{}", signature));
    assert_string_equal(signature,
                        "e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
    assert_true(notice_sign("0123456789abcdef", 1700000001, "{}", other));
    assert_string_not_equal(signature, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_notice_says_what_became_of_what),
        cmocka_unit_test(an_alert_of_another_severity_ends_the_one_before),
        cmocka_unit_test(what_is_over_ends_and_what_goes_on_is_kept),
        cmocka_unit_test(a_signature_is_an_hmac_of_time_and_body),
    };
    return cmocka_run_group_tests_name("monitor/notice", tests, NULL, NULL);
}
