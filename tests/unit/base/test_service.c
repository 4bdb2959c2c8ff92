/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_service.c - what managers of services print is understood. */
#include "support/check.h"

#include <string.h>

#include "base/service.h"

static void systemd_is_understood(void **state)
{
    struct service_state s;

    (void)state;
    service_parse_systemctl("NRestarts=3\nLoadState=loaded\nActiveState=active\nSubState=running\n",
                            &s);
    assert_true(s.is_known && s.is_active);
    assert_string_equal(s.words, "active (running), started anew 3 times");
    service_parse_systemctl("LoadState=loaded\nActiveState=reloading\nSubState=reload\n", &s);
    assert_true(s.is_known && s.is_active);
    service_parse_systemctl("LoadState=loaded\nActiveState=failed\nSubState=failed\nNRestarts=0",
                            &s);
    assert_true(s.is_known && !s.is_active);
    service_parse_systemctl("LoadState=not-found\nActiveState=inactive\n", &s);
    assert_true(!s.is_known && !s.is_active);
    service_parse_systemctl("", &s);
    assert_true(!s.is_known && !s.is_active);
}

static void launchd_is_understood(void **state)
{
    struct service_state s;

    (void)state;
    service_parse_launchctl("system/mlx-api-server = {\n\tactive count = 1\n\tstate = running\n"
                            "\tpid = 12\n}\n",
                            &s);
    assert_true(s.is_known && s.is_active);
    service_parse_launchctl("system/x = {\n\tstate = spawn scheduled\n}\n", &s);
    assert_true(s.is_known && !s.is_active);
    assert_string_equal(s.words, "spawn scheduled");
    service_parse_launchctl("Could not find service \"x\" in domain for system\n", &s);
    assert_true(!s.is_known && !s.is_active);
}

static void long_and_broken_texts_are_cut(void **state)
{
    char text[4096] = "LoadState=";
    struct service_state s;

    (void)state;
    memset(text + strlen(text), 'x', sizeof(text) - strlen(text) - 1);
    service_parse_systemctl(text, &s);
    assert_true(s.is_known && !s.is_active);
    memcpy(text, "state = ", 8);
    service_parse_launchctl(text, &s);
    assert_true(strlen(s.words) < SERVICE_WORDS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(systemd_is_understood),
        cmocka_unit_test(launchd_is_understood),
        cmocka_unit_test(long_and_broken_texts_are_cut),
    };
    return cmocka_run_group_tests_name("base/service", tests, NULL, NULL);
}
