/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway_exo.c - what the addresses of exo's API mean. */
#include "gateway/admin/exo_request.h"
#include "gateway/gateway_priv.h"

void gateway_exo_node_id(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->exo_node_id(g->arg, x);
}

/* /state, and /state/PATH: what is there. */
void gateway_exo_state(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->exo_state(g->arg, x, exchange_rest(x));
}

void gateway_exo_instance(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->exo_instance(g->arg, x, exchange_rest(x));
}

void gateway_exo_delete(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->exo_delete(g->arg, x, exchange_rest(x));
}

static void preview(void *arg, struct exchange *x, bool is_one)
{
    struct gateway *g = arg;
    struct exo_placement asked;
    struct api_error e;

    if (exo_placement_from_query(exchange_query(x), &asked, &e) != ST_OK)
        exchange_fail(x, &e);
    else if (is_one)
        g->handlers->exo_placement(g->arg, x, &asked);
    else
        g->handlers->exo_previews(g->arg, x, &asked);
}

void gateway_exo_placement(void *arg, struct exchange *x)
{
    preview(arg, x, true);
}

void gateway_exo_previews(void *arg, struct exchange *x)
{
    preview(arg, x, false);
}

void gateway_exo_place(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct exo_placement asked;
    struct api_error e;
    json_t *body = gateway_body(x);
    enum status s;

    if (!body)
        return;
    s = exo_placement_from_json(body, &asked, &e);
    json_decref(body);
    if (s == ST_OK)
        g->handlers->exo_place(g->arg, x, &asked);
    else
        exchange_fail(x, &e);
}

void gateway_exo_create(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    struct place_request request;
    char id[EXO_ID_MAX];
    struct api_error e;
    json_t *body = gateway_body(x);
    enum status s;

    if (!body)
        return;
    s = exo_instance_from_json(body, &request, id, &e);
    json_decref(body);
    if (s == ST_OK)
        g->handlers->exo_create(g->arg, x, &request, id);
    else
        exchange_fail(x, &e);
}

void gateway_exo_await(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char model[MODEL_NAME_MAX];
    double timeout_s;
    struct api_error e;

    if (exo_await_from_query(exchange_query(x), model, &timeout_s, &e) == ST_OK)
        g->handlers->exo_await(g->arg, x, model, timeout_s);
    else
        exchange_fail(x, &e);
}
