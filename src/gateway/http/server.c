/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/server.c - the HTTP/1.1 server: listens, bounds, routes. */
#include "gateway/http/server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/address.h"
#include "gateway/http/cors.h"
#include "gateway/http/exchange_priv.h"
#include "gateway/http/refusal.h"
#include "metrics/metrics.h"

/* evhttp answers what is beyond its own bounds without JSON: they are wider than any of the guard's. */
enum { HEADERS_READ_MAX = 2 << 20 };

static const uint64_t BODY_READ_MAX = UINT64_C(2) << 30;

struct http_server {
    struct evhttp *http;
    struct exchange_home home;
    struct http_date date;
    struct http_server_options options;
    uint16_t port;
};

const char *method_name(enum evhttp_cmd_type type)
{
    switch (type) {
    case EVHTTP_REQ_GET: return "GET";
    case EVHTTP_REQ_POST: return "POST";
    case EVHTTP_REQ_HEAD: return "HEAD";
    case EVHTTP_REQ_PUT: return "PUT";
    case EVHTTP_REQ_DELETE: return "DELETE";
    case EVHTTP_REQ_OPTIONS: return "OPTIONS";
    case EVHTTP_REQ_TRACE: return "TRACE";
    case EVHTTP_REQ_CONNECT: return "CONNECT";
    case EVHTTP_REQ_PATCH: return "PATCH";
    }
    return "";
}

/* A content type that cannot be JSON.  A missing one is taken: curl -d sends a form's. */
static bool is_wrong_media(const struct exchange *x)
{
    const char *type = exchange_header(x, "Content-Type");

    if (exchange_header(x, "Content-Encoding"))
        return true;
    return type && strncasecmp(type, "multipart/", 10) == 0;
}

static void refuse_media(struct exchange *x)
{
    struct api_error e;

    (void)api_error_set(&e, API_MEDIA_TYPE, NULL,
                        "Send the body as application/json, without a content encoding.");
    exchange_fail(x, &e);
}

static void refuse_origin(struct exchange *x)
{
    struct api_error e;

    (void)api_error_set(
        &e, API_ORIGIN, NULL,
        "Pages of %.100s may not ask here; 'cors: origins' of the gateway's settings "
        "says which may.",
        exchange_header(x, "Origin"));
    exchange_fail(x, &e);
}

/* WHATWG Fetch, section 3.2.2: a browser asks whether it may ask. */
static void answer_preflight(struct exchange *x)
{
    const char *names = exchange_header(x, "Access-Control-Request-Headers");
    struct buf nothing = { 0 };

    exchange_set_header(x, "Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, PATCH");
    if (names && cors_are_names(names))
        exchange_set_header(x, "Access-Control-Allow-Headers", names);
    exchange_set_header(x, "Access-Control-Max-Age", "600");
    exchange_reply(x, 204, "text/plain", &nothing);
}

/* What a page may read of the answer. */
static void tell_browser(struct exchange *x, const struct api_cors *cors)
{
    exchange_set_header(x, "Access-Control-Allow-Origin",
                        cors_told(cors, exchange_header(x, "Origin")));
    exchange_set_header(x, "Access-Control-Expose-Headers", CORS_EXPOSED);
}

/* Answered before routing?  Then the answer is on its way. */
static bool is_answered(struct http_server *server, struct exchange *x)
{
    const struct api_cors *cors = &server->home.settings->cors;
    const enum cors_verdict verdict =
        cors_judge(cors, exchange_header(x, "Origin"), exchange_header(x, "Host"));
    const bool is_preflight = exchange_method(x) == EVHTTP_REQ_OPTIONS &&
                              exchange_header(x, "Access-Control-Request-Method");

    if (cors->origins_count > 0)
        exchange_set_header(x, "Vary", "Origin");
    if (verdict == CORS_ALLOWED)
        tell_browser(x, cors);
    if (verdict == CORS_REFUSED)
        refuse_origin(x);
    else if (verdict == CORS_ALLOWED && is_preflight)
        answer_preflight(x);
    else if (x->body.len > 0 && is_wrong_media(x))
        refuse_media(x);
    else
        return false;
    return true;
}

static bool keep_rest(struct exchange *x, const char *rest)
{
    free(x->rest);
    x->rest = rest[0] ? strdup(rest) : NULL;
    return x->rest || !rest[0];
}

static void route(struct http_server *server, struct exchange *x)
{
    const char *method = method_name(exchange_method(x));
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(x->req));
    struct route_match match;
    struct api_error e;

    switch (route_find(server->options.routes, server->options.n_routes, method, path ? path : "",
                       &match)) {
    case ROUTE_FOUND:
        x->route = match.route->path;
        if (!keep_rest(x, match.rest)) {
            (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for this request.");
            break;
        }
        if (!server->options.admit ||
            server->options.admit(server->options.arg, x, match.route->path))
            match.route->handle(server->options.arg, x);
        return;
    case ROUTE_WRONG_METHOD:
        exchange_add_header(x, "Allow", match.allow);
        (void)api_error_set(&e, API_METHOD, NULL, "This address takes %s, not %s.", match.allow,
                            method);
        break;
    case ROUTE_UNKNOWN_PATH:
        (void)api_error_set(&e, API_UNKNOWN_URL, NULL, "Unknown request URL: %s %.256s.", method,
                            path ? path : "");
        break;
    }
    exchange_fail(x, &e);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct http_server *server = arg;
    struct exchange *x = exchange_new(req, &server->home);

    if (!x) {
        evhttp_send_error(req, HTTP_INTERNAL, NULL);
        return;
    }
    if (!is_answered(server, x))
        route(server, x);
}

/* ---- before evhttp ---- */

/* A page that may ask may read why it got nothing. */
static void tell_page(const struct http_server *server, const struct http_head *head,
                      struct refusal *refusal)
{
    const struct api_cors *cors = &server->home.settings->cors;
    const char *origin = http_head_find(head, "Origin");

    refusal->varies = cors->origins_count > 0;
    if (http_head_count(head, "Origin") == 1 &&
        cors_judge(cors, origin, http_head_find(head, "Host")) == CORS_ALLOWED)
        refusal->origin = cors_told(cors, origin);
}

static void tell_refused(const struct http_server *server, const struct http_head *head,
                         const char *route_path, const char *id, int status, size_t n)
{
    const struct http_record record = {
        .method = head->method ? head->method : "-",
        .route = route_path ? route_path : "-",
        .http_status = status,
        .n_bytes_out = n,
        .id = id,
        .who = "-",
    };

    metric_add(METRIC_HTTP, (unsigned)status / 100 - 2, 1);
    if (server->home.on_over && server->home.settings->log.access)
        server->home.on_over(server->home.on_over_arg, &record);
}

static void refuse_fault(const struct http_server *server, const struct http_head *head,
                         enum http_fault fault, struct buf *answer)
{
    struct api_error e;
    char id[X_REQUEST_ID_MAX];
    struct refusal refusal = { .http_status = http_fault_status(fault), .error = &e, .id = id };
    const enum api_error_kind kind = fault == HTTP_BODY_LONG ? API_TOO_LARGE
                                     : fault == HTTP_CROWDED || fault == HTTP_NO_MEMORY
                                         ? API_OVERLOADED
                                         : API_INVALID;

    (void)api_error_set(&e, kind, NULL, "%s", http_fault_words(fault));
    tell_page(server, head, &refusal);
    request_id_choose(http_head_find(head, "x-request-id"), id);
    tell_refused(server, head, NULL, id, refusal_render(&refusal, answer), answer->len);
}

/* A long body is not read for somebody who gets nothing for it. */
static bool judge_long(const struct http_server *server, const struct http_head *head,
                       struct buf *answer)
{
    const struct http_server_options *o = &server->options;
    const struct error_shape *errors = NULL;
    struct route_match match;
    struct api_error e;
    char id[X_REQUEST_ID_MAX];
    struct refusal refusal = { .error = &e, .id = id };

    switch (route_find(o->routes, o->n_routes, head->method, head->path, &match)) {
    case ROUTE_FOUND:
        if (!o->refuses || !o->refuses(o->arg, head, match.route->path, &e, &errors))
            return false;
        refusal.errors = errors;
        break;
    case ROUTE_WRONG_METHOD:
        refusal.allow = match.allow;
        (void)api_error_set(&e, API_METHOD, NULL, "This address takes %s, not %s.", match.allow,
                            head->method);
        break;
    case ROUTE_UNKNOWN_PATH:
        (void)api_error_set(&e, API_UNKNOWN_URL, NULL, "Unknown request URL: %s %.256s.",
                            head->method, head->path);
        break;
    }
    tell_page(server, head, &refusal);
    request_id_choose(http_head_find(head, "x-request-id"), id);
    tell_refused(server, head, match.route ? match.route->path : NULL, id,
                 refusal_render(&refusal, answer), answer->len);
    return true;
}

static bool judge(void *arg, const struct http_head *head, enum http_fault fault,
                  struct buf *answer)
{
    const struct http_server *server = arg;

    if (fault != HTTP_FINE) {
        refuse_fault(server, head, fault, answer);
        return true;
    }
    if (!head->is_chunked && head->n_length < HTTP_JUDGED_BODY_MIN &&
        !http_head_find(head, "Expect"))
        return false;
    return judge_long(server, head, answer);
}

/* ---- life ---- */

static struct guard_bounds bounds_of(const struct api_gateway *c)
{
    return (struct guard_bounds){
        .request = { .header_bytes = c->sizes.header_bytes,
                     .header_lines = c->sizes.header_lines,
                     .url_bytes = c->sizes.url_bytes,
                     .body_bytes = c->sizes.body_bytes },
        .n_connections = c->connections.total,
        .n_per_address = c->connections.per_address,
        .header_s = c->timeouts.header_s,
        .body_s = c->timeouts.body_s,
        .body_bytes_per_s = c->timeouts.body_bytes_per_s,
    };
}

static void set_up(struct http_server *server)
{
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_max_headers_size(server->http, HEADERS_READ_MAX);
    evhttp_set_max_body_size(server->http, (ev_ssize_t)BODY_READ_MAX);
    evhttp_set_timeout(server->http, (int)server->home.settings->timeouts.idle_s);
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                                 EVHTTP_REQ_PATCH);
}

static enum status listen_on(struct http_server *server, struct loop *loop, struct err *err)
{
    const struct http_server_options *o = &server->options;
    const struct guard_bounds bounds = bounds_of(server->home.settings);
    struct evhttp_bound_socket *socket;
    enum status s;

    (void)signal(SIGPIPE, SIG_IGN); /* a client that closed is an error of write(2), not our end */
    socket = evhttp_bind_socket_with_handle(server->http, o->host, o->port);
    if (!socket)
        return err_errno(err, "listen for HTTP on %s port %u", o->host, o->port);
    server->port = address_port_of(evhttp_bound_socket_get_fd(socket));
    s = guard_new(loop, server->http, socket, &bounds, &server->home.guard, err);
    if (s == ST_OK)
        guard_judge_with(server->home.guard, judge, server);
    return s;
}

enum status http_server_new(struct loop *loop, const struct http_server_options *options,
                            struct http_server **ret_server, struct err *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    enum status s = ST_OK;

    if (server)
        server->http = evhttp_new(loop_base(loop));
    if (!server || !server->http)
        s = err_set(err, ST_NOMEM, "an HTTP server could not be made");
    if (s == ST_OK)
        s = api_gateway_default(&server->home.settings, err);
    if (s == ST_OK) {
        server->options = *options;
        server->home.on_over = options->on_over;
        server->home.on_over_arg = options->arg;
        server->home.date = &server->date;
        set_up(server);
        s = listen_on(server, loop, err);
    }
    if (s == ST_OK)
        *ret_server = server;
    else
        http_server_free(server);
    return s;
}

void http_server_use(struct http_server *server, struct api_gateway *settings,
                     struct certificate *certificate)
{
    const struct guard_bounds bounds = bounds_of(settings);
    struct api_gateway *before = server->home.settings;

    server->home.settings = api_gateway_ref(settings);
    api_gateway_unref(before);
    guard_set_bounds(server->home.guard, &bounds);
    guard_certify(server->home.guard, certificate);
    evhttp_set_timeout(server->http, (int)settings->timeouts.idle_s);
}

void http_server_trace_with(struct http_server *server, struct tracer *tracer)
{
    server->home.tracer = tracer;
}

void http_server_resume(struct http_server *server, struct exchange *x)
{
    route(server, x);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    if (server->http)
        evhttp_free(server->http);
    guard_free(server->home.guard);
    api_gateway_unref(server->home.settings);
    free(server);
}
