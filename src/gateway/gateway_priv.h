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
    struct call_texts *call_texts;
    struct known_grammars *known_grammars;
    struct readers *readers;
    struct access *access;
};

/* As gateway_generate(); upstreams may answer, too. */
void gateway_translate(struct gateway *gateway, struct exchange *x, const struct dialect *dialect);

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

/* Handlers of the cluster's addresses, gateway_cluster.c; arg: struct gateway */
void gateway_cluster_state(void *arg, struct exchange *x);
void gateway_cluster_plan(void *arg, struct exchange *x);
void gateway_cluster_place(void *arg, struct exchange *x);
void gateway_cluster_unplace(void *arg, struct exchange *x);
void gateway_cluster_replace(void *arg, struct exchange *x);
void gateway_cluster_drain(void *arg, struct exchange *x);
void gateway_log_level(void *arg, struct exchange *x);
void gateway_log_level_set(void *arg, struct exchange *x);
void gateway_cluster_undrain(void *arg, struct exchange *x);

/* Handlers of exo's addresses, gateway_exo.c; arg: struct gateway */
void gateway_exo_node_id(void *arg, struct exchange *x);
void gateway_exo_state(void *arg, struct exchange *x);
void gateway_exo_instance(void *arg, struct exchange *x);
void gateway_exo_previews(void *arg, struct exchange *x);
void gateway_exo_placement(void *arg, struct exchange *x);
void gateway_exo_place(void *arg, struct exchange *x);
void gateway_exo_create(void *arg, struct exchange *x);
void gateway_exo_delete(void *arg, struct exchange *x);
void gateway_exo_await(void *arg, struct exchange *x);

/* Handlers of the responses that were answered, gateway_responses.c; arg: struct gateway */
void gateway_response_show(void *arg, struct exchange *x); /* and its input items */
void gateway_response_delete(void *arg, struct exchange *x);
void gateway_response_cancel(void *arg, struct exchange *x);

#endif
