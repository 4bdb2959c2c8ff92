/* SPDX-License-Identifier: Apache-2.0 */
/* execute/client.c - the gateway's end of an instance: sends generations, receives tokens.
 *
 * Callbacks may do anything to the client, client_free() included.  So an
 * open generation is taken off the list before its last call, and after any
 * call is_freed is looked at before the client is touched again.
 */
#include "execute/client.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "execute/wire.h"
#include "net/channel.h"

enum { RELAY_CONNECT_MS = 10000 }; /* several nodes may be asked one after another */

struct open_generation {
    uint64_t id;
    uint32_t sequence;
    token_stream_fn *fn;
    void *arg;
    struct open_generation *next;
};

struct client {
    struct tls *tls; /* NULL: in clear */
    struct channel *channel;
    struct open_generation *open;
    uint64_t last_id;
    size_t n_open;
    struct loop_timer *ping_timer;
    bool is_connected, is_broken, is_unreachable;
    bool has_other_ways; /* it was the first of several addresses to answer */
    struct err why;
    unsigned n_nested; /* calls of ours on the stack that may call back */
    bool is_freed;
};

static void destroy(struct client *c)
{
    if (!c)
        return;
    while (c->open) {
        struct open_generation *g = c->open;

        c->open = g->next;
        free(g);
    }
    loop_timer_free(c->ping_timer);
    channel_free(c->channel);
    tls_free(c->tls);
    free(c);
}

static void leave(struct client *c)
{
    c->n_nested--;
    if (c->is_freed && c->n_nested == 0)
        destroy(c);
}

static struct open_generation **find(struct client *c, uint64_t id)
{
    struct open_generation **at = &c->open;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    return at;
}

static struct open_generation *take_off(struct client *c, struct open_generation **at)
{
    struct open_generation *g = *at;

    *at = g->next;
    c->n_open--;
    return g;
}

static void fail_one(struct client *c, struct open_generation **at, const struct err *why)
{
    struct open_generation *g = take_off(c, at);

    g->fn(g->arg, NULL, why);
    free(g);
}

static void fail_all(struct client *c, const struct err *why)
{
    if (c->is_broken)
        return;
    c->is_broken = true;
    loop_timer_stop(c->ping_timer);
    c->why = *why;
    c->n_nested++;
    while (c->open && !c->is_freed)
        fail_one(c, &c->open, &c->why);
    leave(c);
}

static void deliver_token(struct client *c, const Wire__Token *t)
{
    struct open_generation **at = find(c, t->id), *g = *at;
    struct token_logprob top[REQUEST_TOP_LOGPROBS_MAX];
    struct token_event event = {
        .token = t->token,
        .logprob = t->logprob,
        .top = top,
        .is_prompt = t->is_prompt != 0,
        .n_computed = t->n_computed,
        .vector = t->vector,
        .n_vector = t->n_vector,
        .n_cached_tokens = t->n_cached_tokens,
    };

    if (!g || t->finish > FINISH_CANCELED) /* canceled meanwhile */
        return;
    for (; event.n_top < t->n_top && event.n_top < REQUEST_TOP_LOGPROBS_MAX; event.n_top++)
        top[event.n_top] =
            (struct token_logprob){ t->top[event.n_top]->token, t->top[event.n_top]->logprob };
    event.sequence = g->sequence;
    event.finish = (enum finish_reason)t->finish;
    if (event.finish == FINISH_NONE) {
        g->fn(g->arg, &event, NULL);
        return;
    }
    g = take_off(c, at);
    g->fn(g->arg, &event, NULL);
    free(g);
}

static void on_failed(struct client *c, const Wire__Failed *f)
{
    struct open_generation **at;
    struct err why;

    (void)err_set(&why, status_from_code(f->status), "%s", f->words);
    if (f->id == 0) {
        fail_all(c, &why);
        return;
    }
    at = find(c, f->id);
    if (*at)
        fail_one(c, at, &why);
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)base;
    struct client *c = arg;

    (void)channel;
    c->n_nested++;
    if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_TOKENS) {
        for (size_t i = 0; i < m->tokens->n_tokens && !c->is_freed; i++)
            deliver_token(c, m->tokens->tokens[i]);
    } else if (m->body_case == WIRE__RUNNER_MESSAGE__BODY_FAILED) {
        on_failed(c, m->failed);
    }
    leave(c);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct client *c = arg;
    struct err why;

    (void)channel;
    (void)err_set(&why, ST_PEER, "the connection to the model's driver broke: %s", reason->words);
    c->is_unreachable = !c->is_connected && reason->status != ST_DENIED;
    fail_all(c, &why);
}

static void on_open(void *arg, struct channel *channel)
{
    struct client *c = arg;

    (void)channel;
    c->is_connected = true;
}

static void on_ping_time(void *arg)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__Ping ping = WIRE__PING__INIT;
    struct client *c = arg;
    struct err why;

    if (!c->is_connected || c->n_open == 0)
        return;
    if (channel_silent_ms(c->channel) >= CLIENT_SILENT_MS) {
        (void)err_set(&why, ST_PEER, "the machine of the model's driver does not answer");
        c->is_unreachable = !c->has_other_ways;
        fail_all(c, &why);
        return;
    }
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_PING;
    message.ping = &ping;
    channel_send(c->channel, &message.base);
}

static const struct channel_events client_events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = CLIENT_MAX_BYTES,
    .max_queued_bytes = CLIENT_MAX_QUEUED_BYTES,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static void send_hello(struct client *c, const struct driver_address *driver)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ClientHello hello = WIRE__CLIENT_HELLO__INIT;
    uint8_t key[INSTANCE_KEY_BYTES];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = driver->key[i];
    hello.protocol = CLIENT_PROTOCOL;
    hello.protocol_min = CLIENT_PROTOCOL_MIN;
    hello.key = (ProtobufCBinaryData){ sizeof(key), key };
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_CLIENT_HELLO;
    message.client_hello = &hello;
    channel_send(c->channel, &message.base);
}

/* A client that has all but its channel. */
static enum status make(struct loop *loop, const struct driver_address *driver,
                        struct client **ret_client, struct err *err)
{
    struct client *c = calloc(1, sizeof(*c));
    struct cluster_key key;
    enum status s = ST_OK;

    if (!c || loop_timer_new(loop, on_ping_time, c, &c->ping_timer) != ST_OK)
        s = err_set(err, ST_NOMEM, "a connection to a driver");
    if (s == ST_OK && driver->is_secured) {
        memcpy(key.bytes, driver->data_key, sizeof(key.bytes));
        s = tls_new(&key, TLS_TOKENS, &c->tls, err);
        cluster_key_wipe(&key, sizeof(key));
    }
    if (s != ST_OK) {
        destroy(c);
        return s;
    }
    *ret_client = c;
    return ST_OK;
}

/* Its channel is there, unless `s` says why not. */
static enum status begin(struct client *c, const struct driver_address *driver, enum status s,
                         struct client **ret_client)
{
    if (s != ST_OK) {
        destroy(c);
        return s;
    }
    loop_timer_every(c->ping_timer, CLIENT_PING_MS);
    send_hello(c, driver); /* queued until connected, before any generation */
    *ret_client = c;
    return ST_OK;
}

enum status client_new(struct loop *loop, const struct driver_address *driver,
                       struct client **ret_client, struct err *err)
{
    struct channel_target target = { .host = driver->host,
                                     .port = driver->port,
                                     .timeout_ms = CLIENT_CONNECT_MS,
                                     .hosts = &driver->hosts };
    struct client *c;
    enum status s = make(loop, driver, &c, err);

    if (s != ST_OK)
        return s;
    target.tls = c->tls;
    c->has_other_ways = driver->hosts.n > 1;
    s = channel_dial(loop, &target, &client_events, c, &c->channel, err);
    return begin(c, driver, s, ret_client);
}

enum status client_new_over(struct loop *loop, const struct driver_address *driver, int fd,
                            struct client **ret_client, struct err *err)
{
    struct client *c;
    enum status s =
        driver->is_secured
            ? make(loop, driver, &c, err)
            : err_set(err, ST_DENIED, "without a cluster key nothing goes over other nodes");

    if (s != ST_OK) {
        (void)close(fd);
        return s;
    }
    s = channel_over(loop, fd, c->tls, RELAY_CONNECT_MS, &client_events, c, &c->channel, err);
    return begin(c, driver, s, ret_client);
}

void client_free(struct client *c)
{
    if (!c || c->is_freed)
        return;
    c->is_freed = true;
    if (c->n_nested == 0)
        destroy(c);
}

static void send_on_channel(void *arg, const ProtobufCMessage *message)
{
    channel_send(arg, message);
}

enum status client_generate(struct client *c, const struct generation *generation,
                            uint32_t sequence, token_stream_fn *fn, void *arg, uint64_t *ret_id,
                            struct err *err)
{
    struct open_generation *g;
    enum status s;

    if (c->is_broken)
        return err_set(err, ST_PEER, "the model's driver is gone: %s", c->why.words);
    g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(err, ST_NOMEM, "a generation");
    *g = (struct open_generation){ c->last_id + 1, sequence, fn, arg, c->open };
    s = wire_send_generation(generation, g->id, sequence, send_on_channel, c->channel, err);
    if (s != ST_OK) {
        free(g);
        return s;
    }
    c->last_id = g->id;
    c->open = g;
    c->n_open++;
    *ret_id = g->id;
    return ST_OK;
}

void client_cancel(struct client *c, uint64_t id)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__Cancel cancel = WIRE__CANCEL__INIT;
    struct open_generation **at = find(c, id);

    if (!*at)
        return;
    free(take_off(c, at));
    cancel.id = id;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_CANCEL;
    message.cancel = &cancel;
    if (!c->is_broken)
        channel_send(c->channel, &message.base);
}

void client_fail(struct client *c, const struct err *why)
{
    fail_all(c, why);
}

bool client_is_broken(const struct client *c)
{
    return c->is_broken;
}

bool client_is_unreachable(const struct client *c)
{
    return c->is_unreachable;
}

size_t client_n_open(const struct client *c)
{
    return c->n_open;
}
