/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway.h - stage 1's door: the addresses a node answers, and what each means.
 *
 * Reads and checks a request as far as that needs nothing but the request;
 * what is wrong is answered here.  The rest is given to the handlers that
 * flow/ installs.
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_GATEWAY_H
#define POMONA_GATEWAY_GATEWAY_H

#include "gateway/admin/exo_request.h"
#include "gateway/admin/place_request.h"
#include "gateway/dialect/api_request.h"
#include "gateway/guard/access.h"
#include "gateway/http/exchange.h"
#include "gateway/http/record.h"
#include "net/loop.h"
#include "trace/tracer.h"

struct gateway;

/* Each handler must end the exchange, now or later. */
struct gateway_handlers {
    /* Does somebody else answer? True: x is taken. body: borrowed; path: "/v1/chat/completions" */
    bool (*forward)(void *arg, struct exchange *x, const char *path, const struct dialect *dialect,
                    const json_t *body);
    /* The same of what another dialect than OpenAI's parsed. True: the request is taken, too. */
    bool (*translate)(void *arg, struct exchange *x, struct api_request *request);
    void (*generate)(void *arg, struct exchange *x, struct api_request *request); /* taken:
                      * api_request_release(); the struct itself is copied */
    void (*models)(void *arg, struct exchange *x);
    void (*model)(void *arg, struct exchange *x, const char *name);
    void (*props)(void *arg, struct exchange *x);
    void (*ollama_tags)(void *arg, struct exchange *x);
    void (*ollama_ps)(void *arg, struct exchange *x);
    void (*ollama_show)(void *arg, struct exchange *x, const char *model);
    void (*ollama_pull)(void *arg, struct exchange *x, const char *what, bool streams);
    void (*metrics)(void *arg, struct exchange *x);
    void (*cancel)(void *arg, struct exchange *x, const char *id); /* of an answer */
    /* Of the owner's responses the one that is being given */
    void (*cancel_response)(void *arg, struct exchange *x, const char *id, uint64_t owner);
    void (*live)(void *arg, struct exchange *x);  /* /health and /livez */
    void (*ready)(void *arg, struct exchange *x); /* /readyz */
    void (*state)(void *arg, struct exchange *x);
    void (*plan)(void *arg, struct exchange *x, const struct place_request *request);
    void (*place)(void *arg, struct exchange *x, const struct place_request *request);
    void (*unplace)(void *arg, struct exchange *x, const char *model);
    void (*drain)(void *arg, struct exchange *x, const char *node, const char *by);
    void (*replace)(void *arg, struct exchange *x, const char *instance_id);
    void (*undrain)(void *arg, struct exchange *x, const char *node);
    void (*exo_node_id)(void *arg, struct exchange *x);
    void (*exo_state)(void *arg, struct exchange *x, const char *path); /* "": all of it */
    void (*exo_instance)(void *arg, struct exchange *x, const char *id);
    void (*exo_previews)(void *arg, struct exchange *x, const struct exo_placement *asked);
    void (*exo_placement)(void *arg, struct exchange *x, const struct exo_placement *asked);
    void (*exo_place)(void *arg, struct exchange *x, const struct exo_placement *asked);
    void (*exo_create)(void *arg, struct exchange *x, const struct place_request *request,
                       const char *id);
    void (*exo_delete)(void *arg, struct exchange *x, const char *id);
    void (*exo_await)(void *arg, struct exchange *x, const char *model, double timeout_s);
    void (*over)(void *arg, const struct http_record *record); /* where the settings ask for that */
};

/* handlers  lent until gateway_free()
 * Errors    ST_IO  the address cannot be bound; ST_NOMEM */
enum status gateway_new(struct loop *loop, const char *host, uint16_t port,
                        const struct gateway_handlers *handlers, void *arg,
                        struct gateway **ret_gateway, struct err *err);

/* Read a request and hand it to the handlers, without asking forward(): it is answered here. */
void gateway_generate(struct gateway *gateway, struct exchange *x, const struct dialect *dialect);

/* Of a request that another server answers: reserve what it may cost.
 * ret  given: reservation_end(); NULL where nothing is reserved
 * Errors  not ST_OK, and `e` says why not */
enum status gateway_reserve(struct gateway *gateway, struct exchange *x, const json_t *body,
                            struct reservation **ret, struct api_error *e);

/* From now on these hold: who may ask, and how the server listens.  Takes references. */
void gateway_use(struct gateway *gateway, struct access_files *files);

/* Requests that come from now on are traced by it; lent until gateway_free(). */
void gateway_trace_with(struct gateway *gateway, struct tracer *tracer);

/* Who may ask; lent until gateway_free().  Until gateway_use() everybody may. */
struct access *gateway_access(struct gateway *gateway);

/* Nothing is being read beside the loop: it may stop. */
bool gateway_is_idle(const struct gateway *gateway);

uint16_t gateway_port(const struct gateway *gateway);

/* Open exchanges end by their on_close.  NULL is allowed. */
void gateway_free(struct gateway *gateway);

#endif
