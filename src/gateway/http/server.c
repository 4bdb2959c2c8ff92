/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/server.c - the HTTP/1.1 server: listens, bounds, routes. */
#include "gateway/http/server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/address.h"
#include "gateway/http/exchange_priv.h"
#include "net/http_guard.h"

/* evhttp answers a body beyond its own bound without JSON, so that bound is
 * wider than ours: what lies between gets our words. */
enum { BODY_READ_MAX = HTTP_BODY_MAX + (8 << 20), CONNECTIONS_MAX = 4096 };

struct http_server {
    struct evhttp *http;
    struct guard *guard;
    struct http_server_options options;
    uint16_t port;
};

static bool has_two_lengths(const struct exchange *x)
{
    return exchange_count_headers(x, "Content-Length") +
               exchange_count_headers(x, "Transfer-Encoding") >
           1;
}

static const char *method_name(enum evhttp_cmd_type type)
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

/* Refused before routing?  Then the answer is on its way. */
static bool is_refused(struct exchange *x)
{
    struct api_error e;

    if (has_two_lengths(x)) {
        exchange_add_header(x, "Connection",
                            "close"); /* where the next request starts is unknown */
        (void)api_error_set(&e, API_INVALID, NULL,
                            "The request gives the length of its body more than once.");
    } else if (x->body.len > HTTP_BODY_MAX) {
        (void)api_error_set(&e, API_TOO_LARGE, NULL, "The body is longer than %d bytes.",
                            HTTP_BODY_MAX);
    } else if (x->body.len > 0 && is_wrong_media(x)) {
        (void)api_error_set(&e, API_MEDIA_TYPE, NULL,
                            "Send the body as application/json, without a content encoding.");
    } else {
        return false;
    }
    exchange_fail(x, &e);
    return true;
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
        memcpy(x->rest, match.rest, sizeof(x->rest));
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
    struct bufferevent *b = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    struct exchange *x;
    const int one = 1;

    guard_request_read(server->guard, b);
    (void)setsockopt(bufferevent_getfd(b), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    x = exchange_new(req);
    if (!x) {
        evhttp_send_error(req, HTTP_INTERNAL, NULL);
        return;
    }
    if (!is_refused(x))
        route(server, x);
}

static void set_bounds(struct http_server *server)
{
    evhttp_set_gencb(server->http, on_request, server);
    evhttp_set_max_headers_size(server->http, HTTP_HEADERS_MAX);
    evhttp_set_max_body_size(server->http, BODY_READ_MAX);
    evhttp_set_timeout(server->http, IDLE_S);
    evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD |
                                                 EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                                                 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                                 EVHTTP_REQ_PATCH);
}

enum status http_server_new(struct loop *loop, const struct http_server_options *options,
                            struct http_server **ret_server, struct err *err)
{
    struct http_server *server = calloc(1, sizeof(*server));
    struct evhttp_bound_socket *socket;
    enum status s = ST_OK;

    if (server)
        server->http = evhttp_new(loop_base(loop));
    if (!server || !server->http) {
        s = err_set(err, ST_NOMEM, "an HTTP server could not be made");
        goto out;
    }
    server->options = *options;
    set_bounds(server);
    (void)signal(SIGPIPE, SIG_IGN); /* a client that closed is an error of write(2), not our end */
    socket = evhttp_bind_socket_with_handle(server->http, options->host, options->port);
    if (!socket) {
        s = err_errno(err, "listen for HTTP on %s port %u", options->host, options->port);
        goto out;
    }
    server->port = address_port_of(evhttp_bound_socket_get_fd(socket));
    s = guard_new(loop, server->http, socket, CONNECTIONS_MAX, &server->guard, err);
    if (s != ST_OK)
        goto out;
    *ret_server = server;
    server = NULL;

out:
    http_server_free(server);
    return s;
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
    guard_free(server->guard);
    free(server);
}
