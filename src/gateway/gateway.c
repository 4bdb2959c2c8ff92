/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway.c - stage 1's door: the addresses a node answers, and what each means. */
#include "gateway/gateway.h"

#include <stdlib.h>

#include "base/size.h"
#include "contract/route.h"
#include "gateway/dialect/call_texts.h"
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/repeat.h"
#include "gateway/dialect/responses_store.h"
#include "gateway/gateway_priv.h"
#include "gateway/http/json_in.h"
#include "gateway/http/server.h"

json_t *gateway_body(struct exchange *x)
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

/* What was read goes to the handlers, or its client hears what is wrong. */
static void hand_on(struct gateway *g, struct exchange *x, struct reading *r)
{
    if (r->status == ST_OK)
        r->status = repeat_read(exchange_header(x, REPEAT_KEY_HEADER),
                                exchange_header(x, REPEAT_TOKENS_HEADER), &r->request, &r->failure);
    if (r->status == ST_OK)
        r->status = access_grant(g->access, x, &r->request, &r->failure);
    if (r->status != ST_OK) {
        api_request_release(&r->request);
        exchange_fail(x, &r->failure);
    } else if (r->answerers == CLUSTER_ALONE || !g->handlers->translate(g->arg, x, &r->request)) {
        g->handlers->generate(g->arg, x, &r->request);
    }
    api_request_init(&r->request); /* it is taken, or released */
}

/* Here, or at an upstream that is sent the body as it came. */
static bool is_forwarded(struct gateway *g, struct exchange *x, const struct reading *r)
{
    return r->path && r->body && g->handlers->forward(g->arg, x, r->path, r->dialect, r->body);
}

static void was_read(void *arg, struct exchange *x, struct reading *r)
{
    struct gateway *g = arg;

    if (!is_forwarded(g, x, r))
        hand_on(g, x, r);
}

static void read_body(struct gateway *g, struct exchange *x, struct reading *r)
{
    size_t n;

    (void)exchange_body(x, &n);
    api_request_init(&r->request);
    r->request.store = g->store;
    r->request.call_texts = g->call_texts;
    r->request.known_grammars = g->known_grammars;
    r->request.owner = access_tenant(x);
    if (!reading_takes_long(n, NULL)) {
        r->body = gateway_body(x);
        if (!r->body)
            return;
    }
    if (reading_takes_long(n, r->body)) {
        readers_read(g->readers, x, r);
        return;
    }
    if (!r->dialect)
        r->dialect = r->choose(r->body);
    r->request.dialect = r->dialect;
    if (!is_forwarded(g, x, r)) {
        r->status = r->dialect->parse(r->body, &r->request, &r->failure);
        hand_on(g, x, r);
    }
    json_decref(r->body);
}

void gateway_generate(struct gateway *g, struct exchange *x, const struct dialect *dialect)
{
    read_body(g, x, &(struct reading){ .dialect = dialect });
}

void gateway_translate(struct gateway *g, struct exchange *x, const struct dialect *dialect)
{
    read_body(g, x, &(struct reading){ .dialect = dialect, .answerers = UPSTREAMS_TOO });
}

enum status gateway_reserve(struct gateway *g, struct exchange *x, const json_t *body,
                            struct reservation **ret, struct api_error *e)
{
    struct api_request request;
    enum status s;

    api_request_init(&request);
    s = param_text(body, "model", request.model, sizeof(request.model), e);
    if (s == ST_OK)
        s = param_u32(body, "n", 1, REQUEST_CHOICES_MAX, &request.n, e);
    if (s == ST_OK)
        s = param_u32(body, "max_tokens", 0, UINT32_MAX, &request.max_tokens, e);
    if (s == ST_OK)
        s = param_u32(body, "max_completion_tokens", 0, UINT32_MAX, &request.max_tokens, e);
    if (s == ST_OK)
        s = access_grant(g->access, x, &request, e);
    if (s == ST_OK) {
        *ret = request.reservation;
        request.reservation = NULL;
    }
    api_request_release(&request);
    return s;
}

static void generate(struct gateway *g, struct exchange *x, const char *path,
                     const struct dialect *dialect)
{
    read_body(g, x, &(struct reading){ .path = path, .dialect = dialect });
}

static void chat(void *arg, struct exchange *x)
{
    generate(arg, x, "/v1/chat/completions", &openai_chat);
}

static void completions(void *arg, struct exchange *x)
{
    generate(arg, x, "/v1/completions", &openai_completions);
}

static void messages(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &anthropic_messages);
}

static void count_messages(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &anthropic_count);
}

static void responses(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &openai_responses);
}

static void count_responses(void *arg, struct exchange *x)
{
    gateway_translate(arg, x, &responses_count);
}

static void embeddings(void *arg, struct exchange *x)
{
    generate(arg, x, "/v1/embeddings", &openai_embeddings);
}

/* The body tells which of two APIs is spoken. */
static const struct dialect *choose_rerank(const json_t *body)
{
    return json_object_get(body, "texts") ? &rerank_tei : &rerank_jina;
}

static void rerank(void *arg, struct exchange *x)
{
    read_body(arg, x, &(struct reading){ .path = "/v1/rerank", .choose = choose_rerank });
}

static void cancel(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->cancel(g->arg, x, exchange_rest(x));
}

static void metrics(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->metrics(g->arg, x);
}

static void tokenize_text(void *arg, struct exchange *x)
{
    gateway_generate(arg, x, &tokenize);
}

static void detokenize_tokens(void *arg, struct exchange *x)
{
    gateway_generate(arg, x, &detokenize);
}

static void show_template(void *arg, struct exchange *x)
{
    gateway_generate(arg, x, &apply_template);
}

static void input_tokens(void *arg, struct exchange *x)
{
    gateway_generate(arg, x, &count_input_tokens);
}

static void version(void *arg, struct exchange *x)
{
    struct buf body = { 0 };

    (void)arg;
    buf_puts(&body, "{\"version\":\"" POMONA_VERSION "\"}");
    exchange_reply(x, 200, "application/json", &body);
}

static void props(void *arg, struct exchange *x)
{
    struct gateway *g = arg;

    g->handlers->props(g->arg, x);
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

/* A dialect is a row here and a handler above. */
static const struct http_route routes[] = {
    { "POST", "/chat/completions", chat },
    { "POST", "/chat/completions/input_tokens", input_tokens },
    { "POST", "/completions", completions },
    { "POST", "/messages", messages },
    { "POST", "/messages/count_tokens", count_messages },
    { "POST", "/responses", responses },
    { "POST", "/responses/input_tokens", count_responses },
    { "GET", "/responses/", gateway_response_show },
    { "DELETE", "/responses/", gateway_response_delete },
    { "POST", "/responses/", gateway_response_cancel },
    { "POST", "/embeddings", embeddings },
    { "POST", "/rerank", rerank },
    { "POST", "/reranking", rerank },
    { "POST", "/cancel/", cancel },
    { "POST", "/tokenize", tokenize_text },
    { "POST", "/detokenize", detokenize_tokens },
    { "POST", "/apply-template", show_template },
    { "GET", "/version", version },
    { "GET", "/metrics", metrics },
    { "GET", "/", gateway_ollama_ping },
    { "GET", "/api/version", gateway_ollama_version },
    { "GET", "/api/tags", gateway_ollama_tags },
    { "GET", "/api/ps", gateway_ollama_ps },
    { "POST", "/api/show", gateway_ollama_show },
    { "POST", "/api/chat", gateway_ollama_chat_route },
    { "POST", "/api/generate", gateway_ollama_generate_route },
    { "POST", "/api/embed", gateway_ollama_embed_route },
    { "POST", "/api/embeddings", gateway_ollama_embeddings_route },
    { "POST", "/api/pull", gateway_ollama_pull },
    { "DELETE", "/api/delete", gateway_ollama_not_done },
    { "POST", "/api/copy", gateway_ollama_not_done },
    { "POST", "/api/create", gateway_ollama_not_done },
    { "POST", "/api/push", gateway_ollama_not_done },
    { "POST", "/api/blobs/", gateway_ollama_not_done },
    { "GET", "/props", props },
    { "GET", "/models", models },
    { "GET", "/models/", model },
    { "GET", "/health", live },
    { "GET", "/livez", live },
    { "GET", "/readyz", ready },
    { "GET", "/cluster/state", gateway_cluster_state },
    { "GET", "/cluster/plan", gateway_cluster_plan },
    { "POST", "/cluster/place", gateway_cluster_place },
    { "POST", "/cluster/unplace", gateway_cluster_unplace },
    { "POST", "/cluster/replace", gateway_cluster_replace },
    { "GET", "/cluster/log-level", gateway_log_level },
    { "POST", "/cluster/log-level", gateway_log_level_set },
    { "POST", "/cluster/drain", gateway_cluster_drain },
    { "POST", "/cluster/undrain", gateway_cluster_undrain },
    { "GET", "/node_id", gateway_exo_node_id },
    { "GET", "/state", gateway_exo_state },
    { "GET", "/state/", gateway_exo_state },
    { "POST", "/place_instance", gateway_exo_place },
    { "POST", "/instance", gateway_exo_create },
    { "GET", "/instance/previews", gateway_exo_previews },
    { "GET", "/instance/placement", gateway_exo_placement },
    { "GET", "/instance/await", gateway_exo_await },
    { "GET", "/instance/", gateway_exo_instance },
    { "DELETE", "/instance/", gateway_exo_delete },
};

static bool admit(void *arg, struct exchange *x, const char *route_path)
{
    struct gateway *g = arg;

    return access_admit(g->access, x, route_path);
}

static bool refuses(void *arg, const struct http_head *head, const char *route_path,
                    struct api_error *e, const struct error_shape **ret_errors)
{
    const struct gateway *g = arg;

    return access_refuses(g->access, head, route_path, e, ret_errors);
}

static void over(void *arg, const struct http_record *record)
{
    const struct gateway *g = arg;

    g->handlers->over(g->arg, record);
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
        .refuses = refuses,
        .on_over = over,
    };
    enum status s;

    if (!g)
        return err_set(err, ST_NOMEM, "the API could not be started");
    g->handlers = handlers;
    g->arg = arg;
    g->store = responses_store_new();
    g->call_texts = call_texts_new();
    g->known_grammars = known_grammars_new();
    s = g->store && g->call_texts && g->known_grammars
            ? access_new(loop, host, resume, g, &g->access, err)
            : err_set(err, ST_NOMEM, "the API could not be started");
    if (s == ST_OK)
        s = readers_new(loop, was_read, g, &g->readers, err);
    if (s == ST_OK)
        s = http_server_new(loop, &options, &g->server, err);
    if (s != ST_OK) {
        readers_free(g->readers);
        access_free(g->access);
        known_grammars_free(g->known_grammars);
        responses_store_free(g->store);
        call_texts_free(g->call_texts);
        free(g);
        return s;
    }
    *ret_gateway = g;
    return ST_OK;
}

void gateway_use(struct gateway *gateway, struct access_files *files)
{
    access_set(gateway->access, files);
    http_server_use(gateway->server, files->settings, files->certificate);
}

void gateway_trace_with(struct gateway *gateway, struct tracer *tracer)
{
    http_server_trace_with(gateway->server, tracer);
}

struct access *gateway_access(struct gateway *gateway)
{
    return gateway->access;
}

bool gateway_is_idle(const struct gateway *gateway)
{
    return readers_are_idle(gateway->readers);
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
    readers_free(gateway->readers);
    known_grammars_free(gateway->known_grammars);
    responses_store_free(gateway->store);
    call_texts_free(gateway->call_texts);
    access_free(gateway->access);
    free(gateway);
}
