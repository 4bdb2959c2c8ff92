/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway_ollama.c - what the addresses of Ollama's API mean. */
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/ollama.h"
#include "gateway/gateway_priv.h"

void gateway_ollama_ping(void *arg, struct exchange *x)
{
    struct buf body = { 0 };

    (void)arg;
    buf_puts(&body, "Ollama is running");
    exchange_reply(x, 200, "text/plain; charset=utf-8", &body);
}

void gateway_ollama_version(void *arg, struct exchange *x)
{
    struct buf body = { 0 };

    (void)arg;
    buf_puts(&body, "{\"version\":\"" OLLAMA_VERSION "\"}");
    exchange_reply(x, 200, "application/json", &body);
}

void gateway_ollama_tags(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->ollama_tags(g->arg, x);
}

void gateway_ollama_ps(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->ollama_ps(g->arg, x);
}

void gateway_ollama_chat_route(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &ollama_chat);
}

void gateway_ollama_generate_route(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &ollama_generate);
}

void gateway_ollama_embed_route(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &ollama_embed);
}

void gateway_ollama_embeddings_route(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &ollama_embeddings);
}

static void ollama_named(void *arg, struct exchange *x, bool is_pull)
{
    struct gateway *g = arg;
    struct ollama_name name;
    struct api_error e;
    json_t *body;
    enum status s;

    body = gateway_body(x);
    if (!body)
        return;
    s = ollama_name_parse(body, &name, &e);
    json_decref(body);
    if (s != ST_OK)
        exchange_fail(x, &e);
    else if (is_pull)
        g->handlers->ollama_pull(g->arg, x, name.name, name.streams);
    else
        g->handlers->ollama_show(g->arg, x, name.model);
}

void gateway_ollama_show(void *arg, struct exchange *x)
{
    ollama_named(arg, x, false);
}

void gateway_ollama_pull(void *arg, struct exchange *x)
{
    ollama_named(arg, x, true);
}

void gateway_ollama_not_done(void *arg, struct exchange *x)
{
    struct api_error e;

    (void)arg;
    (void)api_error_set(&e, API_NOT_DONE, NULL,
                        "Models are not made, copied or deleted over this API: use the command "
                        "line of the machine that holds them.");
    exchange_fail(x, &e);
}
