/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/trace/test_export.c - spans reach a collector that answers by a script, or are counted as lost. */
#include "support/check.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/buf.h"
#include "metrics/metrics.h"
#include "trace/tracer.h"

enum { REQUESTS_MAX = 16 };

struct reply {
    int status; /* 0: none comes */
    const char *retry_after, *body;
};

struct fixture {
    struct loop *loop;
    struct evhttp *http;
    struct export *export;
    const struct reply *script; /* [n_script]; afterwards 200 */
    size_t n_script, n_requests, n_awaited;
    char *bodies[REQUESTS_MAX];
    struct api_traces settings;
};

static void on_request(struct evhttp_request *req, void *arg)
{
    struct fixture *f = arg;
    struct evbuffer *in = evhttp_request_get_input_buffer(req), *out = evbuffer_new();
    const size_t n = evbuffer_get_length(in);
    const struct reply r =
        f->n_requests < f->n_script ? f->script[f->n_requests] : (struct reply){ 200, NULL, "{}" };

    assert_string_equal(evhttp_request_get_uri(req), "/v1/traces");
    assert_string_equal(evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type"),
                        "application/json");
    assert_true(f->n_requests < REQUESTS_MAX);
    f->bodies[f->n_requests] = calloc(1, n + 1);
    (void)evbuffer_remove(in, f->bodies[f->n_requests++], n);
    if (r.retry_after)
        (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After",
                                r.retry_after);
    (void)evbuffer_add_printf(out, "%s", r.body ? r.body : "");
    evhttp_send_reply(req, r.status, "x", out);
    evbuffer_free(out);
    if (f->n_requests == f->n_awaited)
        loop_stop(f->loop);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const struct export_options quick = { .delay_ms = 1, .backoff_ms = 1 };
    struct evhttp_bound_socket *socket;

    if (!f || loop_new(&f->loop, NULL) != ST_OK)
        return -1;
    f->http = evhttp_new(loop_base(f->loop));
    socket = evhttp_bind_socket_with_handle(f->http, "127.0.0.1", 0);
    evhttp_set_gencb(f->http, on_request, f);
    (void)snprintf(f->settings.endpoint, sizeof(f->settings.endpoint), "http://127.0.0.1:%u/",
                   address_port_of(evhttp_bound_socket_get_fd(socket)));
    *state = f;
    return export_new(f->loop, &quick, &f->export, NULL) == ST_OK &&
                   export_use(f->export, &f->settings, "{\"attributes\":[]}", NULL) == ST_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    export_free(f->export);
    evhttp_free(f->http);
    loop_free(f->loop);
    for (size_t i = 0; i < f->n_requests; i++)
        free(f->bodies[i]);
    free(f);
    return 0;
}

static void add(struct fixture *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "{\"n\":%zu}", i);
        export_add(f->export, strdup(text));
    }
}

/* Until so many requests came, and the last was answered. */
static void run(struct fixture *f, size_t n_requests)
{
    f->n_awaited = n_requests;
    if (f->n_requests < n_requests)
        (void)loop_run(f->loop, NULL);
}

static void on_idle_look(void *arg)
{
    struct fixture *f = arg;

    if (export_is_idle(f->export))
        loop_stop(f->loop);
}

static void run_until_idle(struct fixture *f)
{
    struct loop_timer *timer;

    assert_int_equal(loop_timer_new(f->loop, on_idle_look, f, &timer), ST_OK);
    loop_timer_every(timer, 1);
    if (!export_is_idle(f->export))
        (void)loop_run(f->loop, NULL);
    loop_timer_free(timer);
}

static double count(const char *name)
{
    const struct metrics_source nobody[N_METRIC_GROUPS] = { 0 };
    struct buf out = { 0 };
    const char *at;
    char line[96];
    double value;

    metrics_render(nobody, &out);
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    at = strstr(buf_text(&out), line);
    assert_non_null(at);
    value = strtod(at + strlen(line), NULL);
    buf_release(&out);
    return value;
}

#define SENT        "pomona_trace_spans_sent_total"
#define LOST(value) "pomona_trace_spans_lost_total{reason=\"" value "\"}"

static void spans_are_sent_in_batches(void **state)
{
    struct fixture *f = *state;
    const double before = count(SENT);

    add(f, EXPORT_BATCH_MAX + 3);
    run_until_idle(f);
    assert_int_equal(f->n_requests, 2);
    assert_string_equal(f->bodies[1],
                        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[{"
                        "\"scope\":{\"name\":\"pomona\",\"version\":\"" POMONA_VERSION
                        "\"},\"spans\":[{\"n\":512},{\"n\":513},{\"n\":514}]}]}]}");
    assert_true(count(SENT) - before == EXPORT_BATCH_MAX + 3);
}

static void a_batch_that_was_refused_for_now_is_sent_again_as_it_was(void **state)
{
    static const struct reply script[] = {
        { 429, NULL, "" }, { 502, NULL, "" }, { 503, NULL, "" }, { 504, NULL, "" }
    };
    struct fixture *f = *state;
    const double before = count(SENT);

    f->script = script;
    f->n_script = 4;
    add(f, 2);
    run(f, 1);
    add(f, 1); /* comes with the next */
    run_until_idle(f);
    assert_int_equal(f->n_requests, 6);
    for (size_t i = 1; i < 5; i++)
        assert_string_equal(f->bodies[i], f->bodies[0]);
    assert_true(count(SENT) - before == 3);
}

static void what_is_refused_for_good_is_lost_and_counted(void **state)
{
    static const struct reply script[] = { { 400, NULL, "no" },
                                           { 401, NULL, "" },
                                           { 500, NULL, "" } };
    struct fixture *f = *state;
    const double lost = count(LOST("refused")), sent = count(SENT);

    f->script = script;
    f->n_script = 3;
    for (int i = 0; i < 3; i++) {
        add(f, 2);
        run_until_idle(f);
    }
    assert_int_equal(f->n_requests, 3);
    assert_true(count(LOST("refused")) - lost == 6);
    assert_true(count(SENT) == sent);
}

static void of_a_partial_success_the_rest_is_lost(void **state)
{
    static const struct reply script[] = {
        { 200, NULL, "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"m\"}}" },
        { 200, NULL, "{\"partialSuccess\":{\"rejectedSpans\":999}}" },
        { 200, NULL, "no JSON" },
    };
    struct fixture *f = *state;
    const double lost = count(LOST("refused")), sent = count(SENT);

    f->script = script;
    f->n_script = 3;
    for (int i = 0; i < 3; i++) {
        add(f, 3);
        run_until_idle(f);
    }
    assert_true(count(LOST("refused")) - lost == 2 + 3);
    assert_true(count(SENT) - sent == 1 + 0 + 3);
}

static void after_some_tries_a_batch_is_lost(void **state)
{
    static const struct reply busy = { 503, NULL, "" };
    const struct reply script[] = { busy, busy, busy, busy, busy };
    struct fixture *f = *state;
    const double lost = count(LOST("unreachable"));

    f->script = script;
    f->n_script = EXPORT_TRIES_MAX;
    add(f, 4);
    run_until_idle(f);
    assert_int_equal(f->n_requests, EXPORT_TRIES_MAX);
    assert_true(count(LOST("unreachable")) - lost == 4);
    add(f, 1);
    run_until_idle(f);
    assert_int_equal(f->n_requests, EXPORT_TRIES_MAX + 1);
}

static void where_nobody_listens_spans_are_lost_and_no_more_is_kept_than_fits(void **state)
{
    struct fixture *f = *state;
    const double lost = count(LOST("full")), unreachable = count(LOST("unreachable"));

    (void)snprintf(f->settings.endpoint, sizeof(f->settings.endpoint), "http://127.0.0.1:1");
    assert_int_equal(export_use(f->export, &f->settings, "{}", NULL), ST_OK);
    add(f, EXPORT_QUEUE_MAX + 5);
    assert_true(count(LOST("full")) - lost == 5);
    run_until_idle(f);
    assert_true(count(LOST("unreachable")) - unreachable == EXPORT_QUEUE_MAX);
    assert_int_equal(f->n_requests, 0);
}

static void settings_without_an_endpoint_forget_what_waits(void **state)
{
    struct fixture *f = *state;

    add(f, 3);
    f->settings.endpoint[0] = '\0';
    assert_int_equal(export_use(f->export, &f->settings, "{}", NULL), ST_OK);
    assert_true(export_is_idle(f->export));
}

static void nothing_is_told_of_what_is_not_sampled(void **state)
{
    struct fixture *f = *state;
    const struct tracer_options options = { .cluster_name = "c",
                                            .node_name = "n",
                                            .export = { .delay_ms = 1 } };
    const struct trace_context none = { 0 };
    struct trace_context c;
    struct tracer *t;
    struct span *s;

    assert_int_equal(tracer_new(f->loop, &options, &t, NULL), ST_OK);
    c = tracer_trace(t, &none);
    assert_true(trace_context_is_set(&c));
    assert_false(c.is_sampled);
    c.is_sampled = true; /* by its traceparent: but there is no collector */
    assert_null(tracer_begin(t, &c, SPAN_CLIENT, "x"));
    f->settings.ratio = 1;
    assert_int_equal(tracer_use(t, &f->settings, NULL), ST_OK);
    c = tracer_trace(t, &none);
    assert_true(c.is_sampled);
    s = tracer_begin(t, &c, SPAN_CLIENT, "x");
    assert_non_null(s);
    tracer_end(t, &s);
    assert_null(s);
    tracer_end(t, &s);
    c.is_sampled = false;
    assert_null(tracer_begin(t, &c, SPAN_CLIENT, "x"));
    tracer_tell_work(t, &(struct work_span){ .parent = c });
    run(f, 1);
    assert_non_null(
        strstr(f->bodies[0], "\"service.instance.id\",\"value\":{\"stringValue\":\"n\"}"));
    assert_non_null(strstr(f->bodies[0], "\"name\":\"x\""));
    tracer_free(t);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(spans_are_sent_in_batches),
        CASE(a_batch_that_was_refused_for_now_is_sent_again_as_it_was),
        CASE(what_is_refused_for_good_is_lost_and_counted),
        CASE(of_a_partial_success_the_rest_is_lost),
        CASE(after_some_tries_a_batch_is_lost),
        CASE(where_nobody_listens_spans_are_lost_and_no_more_is_kept_than_fits),
        CASE(settings_without_an_endpoint_forget_what_waits),
        CASE(nothing_is_told_of_what_is_not_sampled),
    };

    return cmocka_run_group_tests_name("trace/export", tests, NULL, NULL);
}
