/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/config/test_health_monitor.c - the monitor's settings: defaults, bounds, where a mistake is. */
#include "support/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/health_monitor.h"

static enum status load(const char *text, struct health_monitor **ret, struct err *err)
{
    char path[] = "/tmp/pomona-health-XXXXXX";
    const int fd = mkstemp(path);
    enum status s;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    s = health_monitor_load(path, ret, err);
    unlink(path);
    return s;
}

static void assert_refused(const char *text, const char *words)
{
    struct health_monitor *config = NULL;
    struct err err = { 0 };

    assert_int_not_equal(load(text, &config, &err), ST_OK);
    assert_null(config);
    if (!strstr(err.words, words))
        fail_msg("'%s' does not say '%s'", err.words, words);
}

static void what_is_left_out_has_its_default(void **state)
{
    struct health_monitor *config = NULL, *none = NULL;
    struct err err;

    (void)state;
    assert_ok(load("every: { poll_s: 0.5 }\n", &config, &err), err);
    assert_ok(health_monitor_default(&none, &err), err);
    assert_true(config->every.poll == 0.5 && config->every.canary == none->every.canary);
    assert_string_equal(config->listen.host, "127.0.0.1");
    assert_int_equal(config->listen.port, HEALTH_PORT);
    assert_int_equal(config->history.raw_hours, 12);
    assert_true(config->target == 0.999);
    health_monitor_free(config);
    health_monitor_free(none);
}

static void checks_say_what_they_change_and_nothing_else(void **state)
{
    struct health_monitor *config = NULL;
    struct err err;

    (void)state;
    assert_ok(load("checks: [ { name: disk.free, critical: 0, action: drain } ]\n", &config, &err),
              err);
    assert_null(config->checks[0].warning);
    assert_non_null(config->checks[0].critical);
    assert_true(*config->checks[0].critical == 0);
    assert_int_equal(config->checks[0].action, HEALTH_ACTION_DRAIN);
    health_monitor_free(config);
}

static void who_signed_the_nodes_certificates_may_be_named(void **state)
{
    struct health_monitor *config = NULL;
    struct err err;

    (void)state;
    assert_ok(load("target: 0.9\n", &config, &err), err);
    assert_string_equal(config->api_scheme, "http");
    assert_string_equal(config->api_ca, "");
    health_monitor_free(config);
    assert_ok(load("api_scheme: https\napi_ca: /etc/ca.pem\n", &config, &err), err);
    assert_string_equal(config->api_ca, "/etc/ca.pem");
    health_monitor_free(config);
}

static void a_secret_comes_from_the_environment(void **state)
{
    static const char text[] =
        "callbacks: [ { kind: webhook, url: 'http://h/', secret_env: POMONA_TEST_SECRET } ]\n";
    struct health_monitor *config = NULL;
    struct err err;

    (void)state;
    unsetenv("POMONA_TEST_SECRET");
    assert_refused(text, "no such variable");
    setenv("POMONA_TEST_SECRET", "short", 1);
    assert_refused(text, "16 to 255 bytes");
    setenv("POMONA_TEST_SECRET", "0123456789abcdef", 1);
    assert_ok(load(text, &config, &err), err);
    assert_string_equal(config->callbacks[0].secret, "0123456789abcdef");
    health_monitor_free(config);
}

static void mistakes_are_refused_with_their_line(void **state)
{
    (void)state;
    assert_refused("\nevery:\n  poll_s: -1\n", ":3:");
    assert_refused("target: 1\n", "target: between");
    assert_refused("history: { minute_days: 9999 }\n", "history.minute_days");
    assert_refused("nothing: 1\n", ":1:");
    assert_refused("api_scheme: ftp\n", "http or https");
    assert_refused("checks: [ { name: x, for_s: -1 } ]\n", "for_s");
    assert_refused("callbacks: [ { kind: command, command: [ sh ] } ]\n", "whole path");
    assert_refused("callbacks: [ { kind: webhook, url: 'file:///x' } ]\n", "http://");
    assert_refused("callbacks: [ { kind: mail, url: 'http://x' } ]\n", ":1:");
    assert_refused("", "empty");
}

static void the_file_that_comes_with_it_says_the_defaults(void **state)
{
    char path[1024];
    struct health_monitor *config = NULL, *none = NULL;
    struct err err;

    (void)state;
    snprintf(path, sizeof(path), "%s/config/health_monitor.yaml", getenv("POMONA_SOURCE"));
    assert_ok(health_monitor_load(path, &config, &err), err);
    assert_ok(health_monitor_default(&none, &err), err);
    assert_memory_equal(&config->every, &none->every, sizeof(none->every));
    assert_memory_equal(&config->deadline, &none->deadline, sizeof(none->deadline));
    assert_memory_equal(&config->history, &none->history, sizeof(none->history));
    assert_string_equal(config->canary.prompt, none->canary.prompt);
    assert_string_equal(config->pressure_file, none->pressure_file);
    assert_true(config->target == none->target && config->listen.port == none->listen.port);
    health_monitor_free(config);
    health_monitor_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_its_default),
        cmocka_unit_test(checks_say_what_they_change_and_nothing_else),
        cmocka_unit_test(who_signed_the_nodes_certificates_may_be_named),
        cmocka_unit_test(a_secret_comes_from_the_environment),
        cmocka_unit_test(mistakes_are_refused_with_their_line),
        cmocka_unit_test(the_file_that_comes_with_it_says_the_defaults),
    };
    return cmocka_run_group_tests_name("config/health_monitor", tests, NULL, NULL);
}
