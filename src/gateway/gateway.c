/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway.c - stage 1's door: the addresses a node answers, and what each means. */
#include "gateway/gateway.h"

#include <stdlib.h>

#include "base/size.h"
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/repeat.h"
#include "gateway/http/json_in.h"
#include "gateway/http/server.h"

struct gateway {
    const struct gateway_handlers *handlers;
    void *arg;
    struct http_server *server;
    struct access *access;
};

/* The body as an object, or the exchange is answered. */
static json_t *body_of(struct exchange *x)
{
    struct api_error e;
    json_t *body;
    size_t n;
    const char *text = exchange_body(x, &n);

    if (json_in_object(text, n, &body, &e) == ST_OK)
        return body;
    exchange_fail(x, &e);
    return NULL;
}

static void generate(struct gateway *g, struct exchange *x, const struct dialect *dialect)
{
    struct api_request request;
    struct api_error e;
    json_t *body = body_of(x);
    enum status s;

    if (!body)
        return;
    api_request_init(&request);
    request.dialect = dialect;
    s = dialect->parse(body, &request, &e);
    json_decref(body);
    if (s == ST_OK)
        s = repeat_read(exchange_header(x, REPEAT_KEY_HEADER),
                        exchange_header(x, REPEAT_TOKENS_HEADER), &request, &e);
    if (s == ST_OK)
        s = access_grant(g->access, x, &request, &e);
    if (s != ST_OK) {
        api_request_release(&request);
        exchange_fail(x, &e);
        return;
    }
    g->handlers->generate(g->arg, x, &request);
}

static void chat(void *arg, struct exchange *x)
{
    generate(arg, x, &openai_chat);
}

static void completions(void *arg, struct exchange *x)
{
    generate(arg, x, &openai_completions);
}

static void models(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->models(g->arg, x);
}

static void model(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->model(g->arg, x, exchange_rest(x));
}

static void live(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->live(g->arg, x);
}

static void ready(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->ready(g->arg, x);
}

static void state(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->state(g->arg, x);
}

static void plan(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;
    struct api_error e;

    if (place_request_from_query(exchange_query(x), &request, &e) == ST_OK)
        g->handlers->plan(g->arg, x, &request);
    else
        exchange_fail(x, &e);
}

static void place(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;
    struct api_error e;
    json_t *body = body_of(x);
    enum status s;

    if (!body)
        return;
    s = place_request_from_json(body, &request, &e);
    json_decref(body);
    if (s == ST_OK)
        g->handlers->place(g->arg, x, &request);
    else
        exchange_fail(x, &e);
}

static void unplace(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;
    struct api_error e;
    json_t *body = body_of(x);
    enum status s;

    if (!body)
        return;
    s = place_request_from_json(body, &request, &e);
    json_decref(body);
    if (s == ST_OK)
        g->handlers->unplace(g->arg, x, request.model);
    else
        exchange_fail(x, &e);
}

/* {"node":"name"} */
static bool node_of(struct exchange *x, char *ret_node)
{
    struct api_error e;
    json_t *body = body_of(x);
    enum status s;

    if (!body)
        return false;
    ret_node[0] = '\0';
    s = param_text(body, "node", ret_node, NODE_NAME_MAX, &e);
    if (s == ST_OK && !ret_node[0])
        s = api_error_set(&e, API_MISSING, "node", "Name the node.");
    json_decref(body);
    if (s != ST_OK)
        exchange_fail(x, &e);
    return s == ST_OK;
}

static void drain(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char node[NODE_NAME_MAX];

    if (node_of(x, node))
        g->handlers->drain(g->arg, x, node);
}

static void undrain(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char node[NODE_NAME_MAX];

    if (node_of(x, node))
        g->handlers->undrain(g->arg, x, node);
}

/* A dialect is a row here and a handler above. */
static const struct http_route routes[] = {
    { "POST", "/chat/completions", chat },
    { "POST", "/completions", completions },
    { "GET", "/models", models },
    { "GET", "/models/", model },
    { "GET", "/health", live },
    { "GET", "/livez", live },
    { "GET", "/readyz", ready },
    { "GET", "/cluster/state", state },
    { "GET", "/cluster/plan", plan },
    { "POST", "/cluster/place", place },
    { "POST", "/cluster/unplace", unplace },
    { "POST", "/cluster/drain", drain },
    { "POST", "/cluster/undrain", undrain },
};

static bool admit(void *arg, struct exchange *x, const char *route_path)
{
    struct gateway *g = arg;

    return access_admit(g->access, x, route_path);
}

static void resume(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    http_server_resume(g->server, x);
}

enum status gateway_new(struct loop *loop, const char *host, uint16_t port,
                        const struct gateway_handlers *handlers, void *arg,
                        struct gateway **ret_gateway, struct err *err)
{
    struct gateway *g = calloc(1, sizeof(*g));
    const struct http_server_options options = {
        .host = host,
        .port = port,
        .routes = routes,
        .n_routes = ARRAY_LEN(routes),
        .arg = g,
        .admit = admit,
    };
    enum status s;

    if (!g)
        return err_set(err, ST_NOMEM, "the API could not be started");
    g->handlers = handlers;
    g->arg = arg;
    s = access_new(loop, resume, g, &g->access, err);
    if (s == ST_OK)
        s = http_server_new(loop, &options, &g->server, err);
    if (s != ST_OK) {
        access_free(g->access);
        free(g);
        return s;
    }
    *ret_gateway = g;
    return ST_OK;
}

struct access *gateway_access(struct gateway *gateway)
{
    return gateway->access;
}

uint16_t gateway_port(const struct gateway *gateway)
{
    return http_server_port(gateway->server);
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    http_server_free(gateway->server);
    access_free(gateway->access);
    free(gateway);
}
