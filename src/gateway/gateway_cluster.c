/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway_cluster.c - the addresses by which the cluster is watched and led. */
#include "base/log.h"
#include "contract/route.h"
#include "gateway/dialect/param.h"
#include "gateway/gateway_priv.h"
#include "gateway/http/json_out.h"

void gateway_cluster_state(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->state(g->arg, x);
}

void gateway_cluster_plan(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;
    struct api_error e;

    if (place_request_from_query(exchange_query(x), &request, &e) == ST_OK)
        g->handlers->plan(g->arg, x, &request);
    else
        exchange_fail(x, &e);
}

/* The body as a placing's.  False: it was refused. */
static bool request_of(struct exchange *x, struct place_request *ret)
{
    struct api_error e;
    json_t *body = gateway_body(x);
    enum status s;

    if (!body)
        return false;
    s = place_request_from_json(body, ret, &e);
    json_decref(body);
    if (s != ST_OK)
        exchange_fail(x, &e);
    return s == ST_OK;
}

void gateway_cluster_place(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;

    if (request_of(x, &request))
        g->handlers->place(g->arg, x, &request);
}

void gateway_cluster_unplace(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;

    if (request_of(x, &request))
        g->handlers->unplace(g->arg, x, request.model);
}

/* {"KEY":"name"} into ret [capacity] */
static bool name_of(struct exchange *x, const char *key, char *ret, size_t capacity)
{
    struct api_error e;
    json_t *body = gateway_body(x);
    enum status s;

    if (!body)
        return false;
    ret[0] = '\0';
    s = param_text(body, key, ret, capacity, &e);
    if (s == ST_OK && !ret[0])
        s = api_error_set(&e, API_MISSING, key, "Name the %s.", key);
    json_decref(body);
    if (s != ST_OK)
        exchange_fail(x, &e);
    return s == ST_OK;
}

void gateway_cluster_replace(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char id[INSTANCE_ID_MAX];

    if (name_of(x, "instance", id, sizeof(id)))
        g->handlers->replace(g->arg, x, id);
}

/* {"node":"name", "by":"who"}, the second if it is given: both [NODE_NAME_MAX] */
static bool drain_of(struct exchange *x, char *ret_node, char *ret_by)
{
    struct api_error e;
    json_t *body = gateway_body(x);
    enum status s;

    if (!body)
        return false;
    ret_node[0] = ret_by[0] = '\0';
    s = param_text(body, "node", ret_node, NODE_NAME_MAX, &e);
    if (s == ST_OK)
        s = param_text(body, "by", ret_by, NODE_NAME_MAX, &e);
    if (s == ST_OK && !ret_node[0])
        s = api_error_set(&e, API_MISSING, "node", "Name the node.");
    json_decref(body);
    if (s != ST_OK)
        exchange_fail(x, &e);
    return s == ST_OK;
}

void gateway_cluster_drain(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char node[NODE_NAME_MAX], by[NODE_NAME_MAX];

    if (drain_of(x, node, by))
        g->handlers->drain(g->arg, x, node, by);
}

void gateway_cluster_undrain(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char node[NODE_NAME_MAX];

    if (name_of(x, "node", node, sizeof(node)))
        g->handlers->undrain(g->arg, x, node);
}

/* Of this node and its runners, until it starts anew or reads its settings on SIGHUP. */
void gateway_log_level(void *arg, struct exchange *x)
{
    struct log_levels levels;
    char text[LOG_LEVELS_TEXT_MAX];
    struct buf body = { 0 };

    (void)arg;
    log_levels_now(&levels);
    log_levels_text(&levels, text);
    buf_puts(&body, "{\"level\":");
    json_out_text(&body, text);
    buf_puts(&body, "}");
    exchange_reply(x, 200, "application/json", &body);
}

void gateway_log_level_set(void *arg, struct exchange *x)
{
    char text[LOG_LEVELS_TEXT_MAX];
    struct log_levels levels;
    struct err err = { 0 };
    struct api_error e;

    if (!name_of(x, "level", text, sizeof(text)))
        return;
    if (log_levels_parse(text, &levels, &err) != ST_OK) {
        (void)api_error_set(&e, API_INVALID_VALUE, "level", "%s", err.words);
        exchange_fail(x, &e);
        return;
    }
    log_levels_use(&levels);
    log_with(LOG_INFO, "the log level was changed", log_text("log_level", text),
             log_text("request_id", exchange_id(x)));
    gateway_log_level(arg, x);
}
