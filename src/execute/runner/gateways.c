/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/gateways.c - the connections of gateways to this driver. */
#include "execute/runner/gateways.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "execute/wire.h"

struct gateway {
    struct gateways *all;
    uint64_t id;
    struct channel *channel;
    struct loop_timer *hello_timer;
    bool is_greeted;
    struct gateway *next;
};

struct gateways {
    struct loop *loop;
    struct orders *orders;
    struct listener *listener;
    uint8_t key[INSTANCE_KEY_BYTES];
    struct tls *tls;
    struct gateway *first; /* the newest */
    size_t n;
    uint64_t last_id;
    bool is_open;
    loop_fn *on_done; /* NULL until gateways_finish() */
    void *done_arg;
};

static struct gateway *find(const struct gateways *all, uint64_t id)
{
    struct gateway *g = all->first;

    while (g && g->id != id)
        g = g->next;
    return g;
}

static void gateway_free(struct gateway *g)
{
    loop_timer_free(g->hello_timer);
    channel_free(g->channel);
    free(g);
}

static void tell_done(struct gateways *all)
{
    if (all->on_done && all->n == 0 && loop_post(all->loop, all->on_done, all->done_arg) == ST_OK)
        all->on_done = NULL;
}

/* Forget a gateway and cancel what it asked for. */
static void drop(struct gateway *g)
{
    const struct order order = { .kind = ORDER_CANCEL_GATEWAY, .gateway = g->id };
    struct gateway **at = &g->all->first;

    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    g->all->n--;
    if (g->is_greeted && orders_put(g->all->orders, &order) != ST_OK)
        abort(); /* out of memory: its sequences would compute for nobody, for ever */
    tell_done(g->all);
    gateway_free(g);
}

static void on_silence(void *arg)
{
    log_warn("a connection said no hello and was closed");
    drop(arg);
}

/* A protocol that both speak.  Those of gateways before protocol_min spoke one. */
static bool speaks_with_us(const Wire__ClientHello *hello)
{
    const uint32_t oldest = hello->protocol_min ? hello->protocol_min : hello->protocol;

    return oldest <= CLIENT_PROTOCOL && hello->protocol >= CLIENT_PROTOCOL_MIN;
}

static void greet(struct gateway *g, const Wire__ClientHello *hello)
{
    if (!speaks_with_us(hello)) {
        log_warn("a gateway speaks protocol %u, this runner %d to %d: run versions of Pomona that "
                 "understand one another",
                 hello->protocol, CLIENT_PROTOCOL_MIN, CLIENT_PROTOCOL);
        drop(g);
        return;
    }
    if (hello->key.len != INSTANCE_KEY_BYTES ||
        !secret_equal(hello->key.data, g->all->key, INSTANCE_KEY_BYTES)) {
        log_warn("a connection without the instance's key was closed");
        drop(g);
        return;
    }
    g->is_greeted = true;
    loop_timer_stop(g->hello_timer);
}

static void send_failed(struct gateway *g, uint64_t id, const struct err *why)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__Failed failed = WIRE__FAILED__INIT;
    char words[ERR_WORDS_MAX];

    memcpy(words, why->words, sizeof(words));
    failed.id = id;
    failed.status = (int32_t)why->status;
    failed.words = words;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_FAILED;
    message.failed = &failed;
    channel_send(g->channel, &message.base);
}

static void submit(struct gateway *g, const Wire__Generate *generate)
{
    struct order order = { .kind = ORDER_SUBMIT,
                           .gateway = g->id,
                           .id = generate->id,
                           .sequence = generate->sequence,
                           .asked_ns = clock_ns() };
    struct err err = { 0 };
    enum status s;

    if (!g->all->is_open) {
        (void)err_set(&err, ST_FULL, "the model is still loading; try again later");
        send_failed(g, generate->id, &err);
        return;
    }
    s = generation_read(generate, &order.generation, &err);
    if (s == ST_OK) {
        s = orders_put(g->all->orders, &order);
        if (s != ST_OK)
            (void)err_set(&err, s, "too many requests wait; try again later");
    }
    if (s != ST_OK)
        send_failed(g, generate->id, &err);
}

static void cancel(struct gateway *g, const Wire__Cancel *message)
{
    const struct order order = { .kind = ORDER_CANCEL, .gateway = g->id, .id = message->id };

    if (orders_put(g->all->orders, &order) != ST_OK)
        drop(g); /* a cancel may not be lost; this connection sends them by the thousand */
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)base;
    struct gateway *g = arg;

    (void)channel;
    if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_CLIENT_HELLO && !g->is_greeted)
        greet(g, m->client_hello);
    else if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_GENERATE && g->is_greeted)
        submit(g, m->generate);
    else if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_CANCEL && g->is_greeted)
        cancel(g, m->cancel);
    else if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_PING && g->is_greeted)
        return; /* the system has acknowledged it */
    else
        drop(g);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    (void)channel;
    log_debug("a gateway's connection ended: %s", reason->words);
    drop(arg);
}

static const struct channel_events gateway_events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = CLIENT_MAX_BYTES,
    .max_queued_bytes = CLIENT_MAX_QUEUED_BYTES,
    .on_message = on_message,
    .on_close = on_close,
};

static enum status open_channel(struct gateway *g, int fd, struct err *err)
{
    struct gateways *all = g->all;

    return all->tls ? channel_accept(all->loop, fd, all->tls, HELLO_MS, &gateway_events, g,
                                     &g->channel, err)
                    : channel_new(all->loop, fd, &gateway_events, g, &g->channel, err);
}

/* Where there are too many that said no hello, the oldest makes room. */
static void bound_strangers(struct gateways *all)
{
    struct gateway *oldest = NULL;
    size_t n = 0;

    for (struct gateway *g = all->first; g; g = g->next) {
        if (g->is_greeted)
            continue;
        n++;
        oldest = g;
    }
    if (n >= STRANGERS_MAX)
        drop(oldest);
}

static void on_accept(void *arg, int fd, const char *peer_host)
{
    struct gateways *all = arg;
    struct gateway *g = NULL;
    struct err err = { 0 };

    bound_strangers(all);
    if (all->n < GATEWAYS_MAX)
        g = calloc(1, sizeof(*g));
    if (!g || loop_timer_new(all->loop, on_silence, g, &g->hello_timer) != ST_OK) {
        log_warn("a connection from %s was refused: there are %zu", peer_host, all->n);
        close(fd);
        free(g);
        return;
    }
    g->all = all;
    if (open_channel(g, fd, &err) != ST_OK) {
        log_warn("a connection from %s was refused: %s", peer_host, err.words);
        gateway_free(g);
        return;
    }
    g->id = ++all->last_id;
    g->next = all->first;
    all->first = g;
    all->n++;
    loop_timer_once(g->hello_timer, HELLO_MS);
}

enum status gateways_new(struct loop *loop, const struct gateways_options *o,
                         struct gateways **ret_gateways, struct err *err)
{
    struct gateways *all = calloc(1, sizeof(*all));
    enum status s;

    if (!all)
        return err_set(err, ST_NOMEM, "the gateways' connections");
    all->loop = loop;
    all->orders = o->orders;
    all->tls = o->tls;
    memcpy(all->key, o->key, sizeof(all->key));
    s = listener_new(loop, o->host, 0, on_accept, all, &all->listener, err);
    if (s != ST_OK) {
        free(all);
        return s;
    }
    *ret_gateways = all;
    return ST_OK;
}

void gateways_free(struct gateways *all)
{
    if (!all)
        return;
    listener_free(all->listener);
    while (all->first) {
        struct gateway *g = all->first;

        all->first = g->next;
        gateway_free(g);
    }
    free(all);
}

uint16_t gateways_port(const struct gateways *all)
{
    return listener_port(all->listener);
}

void gateways_open(struct gateways *all)
{
    all->is_open = true;
}

void gateways_send(struct gateways *all, const struct batch *batch)
{
    struct gateway *g = find(all, batch->gateway);

    if (g && batch_send(batch, g->channel) != ST_OK)
        drop(g); /* tokens may not be missing from a stream that goes on */
}

void gateways_refuse(struct gateways *all, uint64_t gateway, uint64_t id, const struct err *why)
{
    struct gateway *g = find(all, gateway);

    if (g)
        send_failed(g, id, why);
}

void gateways_finish(struct gateways *all, const struct err *why, loop_fn *on_done, void *arg)
{
    listener_free(all->listener);
    all->listener = NULL;
    all->on_done = on_done;
    all->done_arg = arg;
    for (struct gateway *g = all->first; g; g = g->next) {
        if (g->is_greeted)
            send_failed(g, 0, why);
        channel_finish(g->channel);
    }
    tell_done(all);
}
