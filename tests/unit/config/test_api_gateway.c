/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/config/test_api_gateway.c - the gateway's file: defaults, and mistakes with line and column. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "config/api_gateway.h"

static char path[64];

static int set_up(void **state)
{
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/pomona-gateway-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static enum status load(const char *text, struct api_gateway **ret_config, struct err *err)
{
    const enum status s = file_replace(path, text, strlen(text), err);

    return s == ST_OK ? api_gateway_load(path, ret_config, err) : s;
}

static void the_shipped_file_says_the_defaults(void **state)
{
    const char *source = getenv("POMONA_SOURCE");
    struct api_gateway *shipped = NULL, *otherwise = NULL;
    char shipped_path[1024];
    struct err err;

    (void)state;
    assert_non_null(source);
    snprintf(shipped_path, sizeof(shipped_path), "%s/config/api_gateway.yaml", source);
    assert_ok(api_gateway_load(shipped_path, &shipped, &err), err);
    assert_ok(api_gateway_default(&otherwise, &err), err);
    assert_memory_equal(&shipped->limits, &otherwise->limits, sizeof(shipped->limits));
    assert_memory_equal(&shipped->queue, &otherwise->queue, sizeof(shipped->queue));
    assert_memory_equal(&shipped->sizes, &otherwise->sizes, sizeof(shipped->sizes));
    assert_memory_equal(&shipped->timeouts, &otherwise->timeouts, sizeof(shipped->timeouts));
    assert_memory_equal(&shipped->connections, &otherwise->connections,
                        sizeof(shipped->connections));
    assert_false(shipped->log.access);
    assert_int_equal(shipped->hosts_count, 0);
    assert_int_equal(shipped->cors.origins_count, 0);
    assert_string_equal(shipped->tls.certificate, "");
    assert_false(shipped->auth.required);
    api_gateway_unref(shipped);
    api_gateway_unref(otherwise);
}

static void a_file_of_comments_says_the_defaults(void **state)
{
    struct api_gateway *config = NULL;
    struct err err;

    (void)state;
    assert_ok(load("# nothing\n", &config, &err), err);
    assert_false(config->auth.required);
    api_gateway_unref(config);
}

static void an_issuer_is_read_whole(void **state)
{
    struct api_gateway *config = NULL;
    struct err err;

    (void)state;
    assert_ok(load("auth:\n"
                   "  required: true\n"
                   "  issuers:\n"
                   "    - issuer: https://a/\n"
                   "      audiences: [ one, two ]\n"
                   "      algorithms: [ PS256, EdDSA ]\n"
                   "      jwks_file: /etc/keys.json\n"
                   "limits:\n"
                   "  key: { tokens_per_minute: 5000000000 }\n"
                   "  models:\n"
                   "    - { name: m, limits: { concurrent: 2 } }\n",
                   &config, &err),
              err);
    assert_int_equal(config->auth.issuers_count, 1);
    assert_string_equal(config->auth.issuers[0].audiences[1], "two");
    assert_int_equal(config->auth.issuers[0].algorithms, API_PS256 | API_EDDSA);
    assert_int_equal(config->auth.issuers[0].leeway_s, 30);
    assert_string_equal(config->auth.issuers[0].scopes_claim, "scope");
    assert_int_equal(config->limits.key.tokens_per_minute, 5000000000);
    assert_int_equal(config->limits.models[0].limits.concurrent, 2);
    api_gateway_unref(config);
}

#define ISSUER "auth:\n  required: true\n  issuers:\n    - issuer: a\n      audiences: [ x ]\n"

static void mistakes_are_told_with_line_and_column(void **state)
{
    static const struct {
        const char *text, *where;
    } rows[] = {
        { "auth:\n  requird: true\n", ":2:" },
        { "auth:\n  required: perhaps\n", ":2:13: " },
        { "", ":1:1: " },
        { "limits:\n  key: { concurrent: many }\n", ":2:22: " },
        { "limits: [\n", ":1:9: " },
        { "a: \tb: c\n", ":1:" },
        { ISSUER, ":4:7: " },
        { ISSUER "      jwks_file: /a\n      jwks_url: https://b\n", ":4:7: " },
        { ISSUER "      jwks_file: /a\n      algorithms: [ HS256 ]\n", ":7:7: " },
        { ISSUER "      jwks_file: /a\n      algorithms: [ none ]\n", ":7:" },
        { ISSUER "      secret_file: /a\n      algorithms: [ RS256, HS256 ]\n", ":7:7: " },
        { ISSUER "      jwks_url: http://example.org/keys\n", ":6:7: " },
        { ISSUER "      jwks_file: /a\n      leeway_s: 301\n", ":7:7: " },
        { "auth:\n  required: true\n  issuers:\n    - issuer: a\n      jwks_file: /a\n", ":5:" },
        { "limits:\n  models:\n    - { name: m, limits: {} }\n    - { name: m, limits: {} }\n",
          ":4:9: " },
        { "tls:\n  certificate: /a\n", ":2:3: " },
        { "tls: { certificate: /a, private_key: /b, min_version: \"1.1\" }\n", ":1:" },
        { "sizes:\n  body_bytes: 5\n", ":2:3: " },
        { "timeouts:\n  header_s: 10\n  idle_s: 90000\n", ":3:3: " },
        { "connections: { total: -1 }\n", ":1:" },
        { "cors:\n  origins: [ \"https://a\", \"https://b/path\" ]\n", ":2:" },
        { "cors:\n  origins: [ \"https://a\", \"*\" ]\n", ":2:" },
        { "hosts:\n  - llm.example.org:80\n", ":2:" },
        { "log: { access: loud }\n", ":1:" },
        { "auth: &a\n  required: false\nlimits: *a\n", ":3:" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct api_gateway *config = NULL;
        struct err err = { 0 };
        const enum status s = load(rows[i].text, &config, &err);

        if (s == ST_OK || strncmp(err.words, path, strlen(path)) != 0 ||
            strncmp(err.words + strlen(path), rows[i].where, strlen(rows[i].where)) != 0)
            fail_msg("%s\n-> %d '%s', not at %s", rows[i].text, s, err.words, rows[i].where);
        assert_null(config);
    }
}

static void write_headers(const char *text, char *ret_path, size_t n)
{
    (void)snprintf(ret_path, n, "%s.headers", path);
    assert_int_equal(file_replace(ret_path, text, strlen(text), NULL), ST_OK);
}

static void traces_are_off_unless_the_file_or_the_environment_says_where_to(void **state)
{
    struct api_gateway *c = NULL;
    struct err err;

    (void)state;
    assert_ok(load("traces: { ratio: 0.5 }\n", &c, &err), err);
    assert_string_equal(c->traces.endpoint, "");
    assert_string_equal(c->traces.service_name, "pomona");
    api_gateway_unref(c);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318", 1), 0);
    assert_int_equal(setenv("OTEL_SERVICE_NAME", "env", 1), 0);
    assert_int_equal(setenv("OTEL_TRACES_SAMPLER_ARG", "0.25", 1), 0);
    assert_ok(load("traces: { ratio: 0.5 }\n", &c, &err), err);
    assert_string_equal(c->traces.endpoint, "http://env:4318");
    assert_string_equal(c->traces.service_name, "env");
    assert_true(c->traces.ratio > 0.4);
    api_gateway_unref(c);
    assert_ok(load("traces: { endpoint: \"https://file\", service_name: file }\n", &c, &err), err);
    assert_string_equal(c->traces.endpoint, "https://file");
    assert_string_equal(c->traces.service_name, "file");
    assert_true(c->traces.ratio < 0.3 && c->traces.ratio > 0.2);
    api_gateway_unref(c);
    assert_int_equal(setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://env", 1), 0);
    assert_int_equal(setenv("OTEL_TRACES_SAMPLER_ARG", "7", 1), 0);
    assert_ok(load("queue: { requests: 1 }\n", &c, &err), err);
    assert_string_equal(c->traces.endpoint, "");
    assert_true(c->traces.ratio == 0);
    api_gateway_unref(c);
    (void)unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    (void)unsetenv("OTEL_SERVICE_NAME");
    (void)unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

static void headers_of_traces_come_from_a_file_of_their_own(void **state)
{
    static const char *const wrong[] = { "no header\n", ": x\n", "a b: c\n", "a: \x01\n",
                                         "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\ng: 1\nh: 1\ni: 1\n" };
    struct api_gateway *c = NULL;
    char headers[128], text[256];
    struct err err;

    (void)state;
    write_headers("# whose\nAuthorization: Bearer x\r\n\nX-Scope-OrgID: 1", headers,
                  sizeof(headers));
    (void)snprintf(text, sizeof(text), "traces:\n  headers_file: %s\n", headers);
    assert_ok(load(text, &c, &err), err);
    assert_int_equal(c->traces.n_headers, 2);
    assert_string_equal(c->traces.headers[0], "Authorization: Bearer x");
    assert_string_equal(c->traces.headers[1], "X-Scope-OrgID: 1");
    api_gateway_unref(c);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        write_headers(wrong[i], headers, sizeof(headers));
        assert_int_equal(load(text, &c, &err), ST_RANGE);
        assert_non_null(strstr(err.words, ":2:"));
    }
    assert_int_equal(unlink(headers), 0);
    assert_int_equal(load(text, &c, &err), ST_RANGE);
    assert_int_equal(load("traces: { endpoint: \"collector:4318\" }\n", &c, &err), ST_RANGE);
    assert_int_equal(load("traces: { ratio: 1.5 }\n", &c, &err), ST_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_file_says_the_defaults),
        cmocka_unit_test(a_file_of_comments_says_the_defaults),
        cmocka_unit_test(an_issuer_is_read_whole),
        cmocka_unit_test(mistakes_are_told_with_line_and_column),
        cmocka_unit_test(traces_are_off_unless_the_file_or_the_environment_says_where_to),
        cmocka_unit_test(headers_of_traces_come_from_a_file_of_their_own),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
