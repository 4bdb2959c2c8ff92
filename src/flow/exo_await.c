/* SPDX-License-Identifier: Apache-2.0 */
/* flow/exo_await.c - exo's tools wait for a model to be placed, over events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flow/exo_priv.h"
#include "gateway/http/sse.h"

enum { FOREVER_S = 3600, KEEP_ALIVE_EVERY_MS = 10000 };

struct exo_waiter {
    struct exo *exo;
    struct exchange *x;
    char model[MODEL_NAME_MAX];
    uint64_t until_ns, said_ns;
    struct exo_waiter **link, *next;
};

static void waiter_free(struct exo_waiter *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    w->exo->n_waiters--;
    free(w);
}

static void client_left(void *arg)
{
    waiter_free(arg);
}

/* tree  taken */
static void finish(struct exo_waiter *w, json_t *tree)
{
    char *text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
    struct exchange *x = w->x;
    struct buf event = { 0 };

    sse_event_begin(&event);
    buf_puts(&event, text ? text : "{}");
    sse_event_end(&event);
    exchange_on_close(x, NULL, NULL);
    sse_send(x, &event);
    exchange_stream_end(x);
    buf_release(&event);
    free(text);
    json_decref(tree);
    waiter_free(w);
}

/* The model's instance that is ready; NULL: there is none. */
static json_t *find_ready(struct exo *exo, const char *model)
{
    struct cluster_instance *instances;
    const size_t n = service_instances(exo->service, &instances);
    struct model_info info;
    json_t *found = NULL;

    for (size_t i = 0; i < n && !found; i++) {
        const struct cluster_instance *in = &instances[i];

        if (in->view.is_ready && strcmp(in->view.model, model) == 0 &&
            service_find_model(exo->service, model, &info))
            found = exo_instance(&in->plan, exo_name_of(exo, in->view.id), &info);
    }
    free(instances);
    return found;
}

static void look(struct exo_waiter *w, uint64_t now_ns)
{
    json_t *instance = find_ready(w->exo, w->model);
    char words[MODEL_NAME_MAX + 48];

    if (instance) {
        finish(w, json_pack("{s:s,s:o}", "type", "ready", "instance", instance));
        return;
    }
    if (now_ns >= w->until_ns || w->exo->service->is_draining) {
        (void)snprintf(words, sizeof(words), "No instance of %s is ready.", w->model);
        finish(w, json_pack("{s:s,s:s}", "type", "timeout", "message", words));
        return;
    }
    if (now_ns - w->said_ns < KEEP_ALIVE_EVERY_MS * NS_PER_MS)
        return;
    w->said_ns = now_ns;
    sse_keep_alive(w->x, NULL);
}

void exo_await(void *arg, struct exchange *x, const char *model, double timeout_s)
{
    struct service *service = arg;
    struct exo *exo = service->exo;
    const double s = timeout_s > 0 ? timeout_s : FOREVER_S;
    struct model_info info;
    struct exo_waiter *w;

    w = exo->n_waiters < EXO_WAITERS_MAX ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        admin_no_memory(x);
        return;
    }
    (void)snprintf(w->model, sizeof(w->model), "%s",
                   service_find_model(service, model, &info) ? info.name : model);
    w->exo = exo;
    w->x = x;
    w->said_ns = clock_ns();
    w->until_ns = w->said_ns + (uint64_t)(s * (double)NS_PER_S);
    w->link = &exo->waiters;
    w->next = exo->waiters;
    if (w->next)
        w->next->link = &w->next;
    exo->waiters = w;
    exo->n_waiters++;
    exchange_on_close(x, client_left, w);
    sse_start(x);
    look(w, w->said_ns);
}

void exo_tick(struct exo *exo, uint64_t now_ns)
{
    for (struct exo_waiter *w = exo->waiters, *next; w; w = next) {
        next = w->next;
        look(w, now_ns);
    }
}

void exo_free_waiters(struct exo *exo)
{
    while (exo->waiters) {
        exchange_on_close(exo->waiters->x, NULL, NULL);
        waiter_free(exo->waiters);
    }
}
