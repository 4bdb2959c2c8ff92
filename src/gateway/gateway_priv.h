/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway_priv.h - what gateway.c and its handlers of one API share. */
#ifndef POMONA_GATEWAY_GATEWAY_PRIV_H
#define POMONA_GATEWAY_GATEWAY_PRIV_H

#include "gateway/dialect/known_grammars.h"
#include "gateway/gateway.h"
#include "gateway/reading.h"

struct gateway {
    const struct gateway_handlers *handlers;
    void *arg;
    struct http_server *server;
    struct responses_store *store;
    struct known_grammars *known_grammars;
    struct readers *readers;
    struct access *access;
};

/* The body as an object, given: json_decref(); NULL: the exchange is answered. */
json_t *gateway_body(struct exchange *x);

/* Handlers of Ollama's addresses, gateway_ollama.c; arg: struct gateway */
void gateway_ollama_ping(void *arg, struct exchange *x);
void gateway_ollama_version(void *arg, struct exchange *x);
void gateway_ollama_tags(void *arg, struct exchange *x);
void gateway_ollama_ps(void *arg, struct exchange *x);
void gateway_ollama_chat_route(void *arg, struct exchange *x);
void gateway_ollama_generate_route(void *arg, struct exchange *x);
void gateway_ollama_embed_route(void *arg, struct exchange *x);
void gateway_ollama_embeddings_route(void *arg, struct exchange *x);
void gateway_ollama_show(void *arg, struct exchange *x);
void gateway_ollama_pull(void *arg, struct exchange *x);
void gateway_ollama_not_done(void *arg, struct exchange *x);

#endif
