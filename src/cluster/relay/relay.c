/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/relay/relay.c - a gateway's connection to a driver that it does not reach itself.
 *
 * Bytes of a socket pair go over the control channel to another node, which has a
 * connection to the driver for them, and back.  The driver's own node is asked first: its channel may
 * go over another address than the data connections.  Then the others are, one after another.
 *
 *   asking --Relay.opened--> open --either end, node lost--> ended
 *     ^ \--ended, RELAY_OPEN_MS--> the next node, or ended where there is none
 *
 * What is relayed is TLS between gateway and driver (net/tls.h): the nodes between pass on what
 * they could read, but need not.  A node connects only to drivers of instances it knows.  No more
 * than RELAY_WINDOW_BYTES are under way each way, so a slow end holds up
 * neither the channel nor other relays.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"

enum {
    RELAY_OPEN_MS = 1000,
    RELAY_WINDOW_BYTES = 256 << 10,
    RELAY_CHUNK_BYTES = 32 << 10,
    RELAYS_MAX = 256, /* of one node */
};

struct relay {
    struct cluster *cluster;
    uint64_t id;             /* of the node that opened it */
    struct member *peer;     /* the node at the other end of the channel */
    const struct link *link; /* that it began on; only compared */
    struct bufferevent *end; /* the gateway's socket pair, or the connection to the driver */
    bool is_opener;          /* the gateway is here */
    bool is_open;            /* bytes may pass */
    bool is_ending;          /* once what came is written */
    size_t next;        /* opener: whom to ask next; 0 the driver's node, then members[next - 1] */
    uint64_t until_ns;  /* opener: of asking */
    size_t n_under_way; /* bytes sent that the peer has not passed on yet */
    size_t n_untold;    /* bytes that came, whose passing on the peer is not told yet */
    char instance_id[INSTANCE_ID_MAX];
    struct relay *next_relay;
};

static void relay_free(struct relay *r)
{
    struct relay **at = &r->cluster->relays;

    while (*at != r)
        at = &(*at)->next_relay;
    *at = r->next_relay;
    r->cluster->n_relays--;
    if (r->end)
        bufferevent_free(r->end);
    free(r);
}

static struct relay *relay_new(struct cluster *cluster, uint64_t id, const char *instance_id)
{
    struct relay *r = cluster->n_relays < RELAYS_MAX ? calloc(1, sizeof(*r)) : NULL;

    if (!r)
        return NULL;
    r->cluster = cluster;
    r->id = id;
    memcpy(r->instance_id, instance_id, strlen(instance_id) + 1);
    r->next_relay = cluster->relays;
    cluster->relays = r;
    cluster->n_relays++;
    return r;
}

static void say(struct member *to, Wire__Relay *relay)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;

    message.body_case = WIRE__NODE_MESSAGE__BODY_RELAY;
    message.relay = relay;
    link_send_to(to, &message);
}

static Wire__Relay message_of(const struct relay *r, Wire__Relay__WhatCase what)
{
    Wire__Relay m = WIRE__RELAY__INIT;

    m.id = r->id;
    m.is_of_opener = r->is_opener;
    m.what_case = what;
    return m;
}

/* Tell the peer that it is over. */
static void say_ended(const struct relay *r)
{
    Wire__Relay m = message_of(r, WIRE__RELAY__WHAT_IS_ENDED);

    m.is_ended = true;
    say(r->peer, &m);
}

/* Send what the end gave, as far as the window goes. */
static void pump(struct relay *r)
{
    struct evbuffer *in = bufferevent_get_input(r->end);

    while (r->is_open && evbuffer_get_length(in) > 0 && r->n_under_way < RELAY_WINDOW_BYTES) {
        Wire__Relay m = message_of(r, WIRE__RELAY__WHAT_BYTES);
        size_t n = evbuffer_get_length(in);

        if (n > RELAY_CHUNK_BYTES)
            n = RELAY_CHUNK_BYTES;
        if (n > RELAY_WINDOW_BYTES - r->n_under_way)
            n = RELAY_WINDOW_BYTES - r->n_under_way;
        m.bytes = (ProtobufCBinaryData){ n, evbuffer_pullup(in, (ev_ssize_t)n) };
        if (!m.bytes.data)
            return; /* no memory: it is tried again when more comes */
        say(r->peer, &m);
        (void)evbuffer_drain(in, n);
        r->n_under_way += n;
    }
}

static void on_readable(struct bufferevent *end, void *arg)
{
    (void)end;
    pump(arg);
}

static void on_written(struct bufferevent *end, void *arg)
{
    struct relay *r = arg;
    Wire__Relay m = message_of(r, WIRE__RELAY__WHAT_N_TAKEN);

    (void)end;
    if (r->is_ending) {
        relay_free(r);
        return;
    }
    m.n_taken = r->n_untold;
    r->n_untold = 0;
    if (m.n_taken > 0)
        say(r->peer, &m);
}

static void on_event(struct bufferevent *end, short what, void *arg)
{
    struct relay *r = arg;

    (void)end;
    if (what & BEV_EVENT_CONNECTED) {
        Wire__Relay m = message_of(r, WIRE__RELAY__WHAT_IS_OPENED);

        m.is_opened = r->is_open = true;
        say(r->peer, &m);
        return;
    }
    pump(r); /* what it said last */
    if (r->peer && !r->is_ending)
        say_ended(r);
    relay_free(r);
}

static enum status take_end(struct relay *r, evutil_socket_t fd, struct err *err)
{
    r->end = bufferevent_socket_new(loop_base(r->cluster->loop), fd, BEV_OPT_CLOSE_ON_FREE);
    if (!r->end)
        return err_set(err, ST_NOMEM, "a relay");
    bufferevent_setcb(r->end, on_readable, on_written, on_event, r);
    bufferevent_setwatermark(r->end, EV_READ, 0, RELAY_WINDOW_BYTES);
    (void)bufferevent_enable(r->end, EV_READ | EV_WRITE);
    return ST_OK;
}

/* ---- the gateway's side ---- */

static const char *driver_node(const struct instance *in)
{
    return in->view.plan.shards[in->view.plan.n_shards - 1].node;
}

/* NULL: everybody was asked. */
static struct member *next_to_ask(struct relay *r, const struct instance *in)
{
    struct cluster *cluster = r->cluster;

    while (r->next <= cluster->n_members) {
        const size_t i = r->next++;
        struct member *m =
            i == 0 ? member_find(cluster, driver_node(in)) : &cluster->members[i - 1];

        if (m && m->link && m->link->is_up &&
            (i == 0 || strcmp(m->info.name, driver_node(in)) != 0))
            return m;
    }
    return NULL;
}

/* False: nobody is left, and the relay is gone. */
static bool ask_next(struct relay *r)
{
    const struct instance *in = instance_find(r->cluster, r->instance_id);
    Wire__Relay m;

    r->peer = in ? next_to_ask(r, in) : NULL;
    if (!r->peer) {
        relay_free(r);
        return false;
    }
    r->link = r->peer->link;
    r->until_ns = deadline_after_ms(RELAY_OPEN_MS);
    m = message_of(r, WIRE__RELAY__WHAT_INSTANCE_ID);
    m.instance_id = r->instance_id;
    say(r->peer, &m);
    log_info("the driver of instance %.8s is asked for by way of node '%s'", r->instance_id,
             r->peer->info.name);
    return true;
}

int cluster_relay(struct cluster *cluster, const char *instance_id)
{
    evutil_socket_t ends[2];
    struct relay *r;

    if (!instance_find(cluster, instance_id) ||
        evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    (void)evutil_make_socket_nonblocking(ends[0]);
    (void)evutil_make_socket_closeonexec(ends[0]);
    (void)evutil_make_socket_closeonexec(ends[1]);
    r = relay_new(cluster, ++cluster->last_relay, instance_id);
    if (r)
        r->is_opener = true;
    if (r && take_end(r, ends[0], NULL) == ST_OK) {
        if (ask_next(r))
            return ends[1];
    } else {
        if (r)
            relay_free(r);
        close(ends[0]);
    }
    close(ends[1]);
    return -1;
}

/* ---- the side that reaches the driver ---- */

/* Over the best link alone: who asks, asks the next node where this takes long. */
static enum status connect_driver(struct relay *r, const struct instance *in, struct err *err)
{
    const struct driver_address *driver = &in->view.view.driver;
    struct address address;
    struct hosts hosts;
    enum status s;

    instance_driver_hosts(r->cluster, in, &hosts);
    s = address_parse(hosts.n > 0 ? hosts.text[0] : driver->host, driver->port, &address, err);
    if (s == ST_OK)
        s = take_end(r, -1, err);
    if (s == ST_OK && bufferevent_socket_connect(r->end, (struct sockaddr *)&address.storage,
                                                 (int)address.length) != 0)
        s = err_errno(err, "connect to a driver");
    return s;
}

static void accept_relay(struct link *link, const Wire__Relay *m)
{
    struct cluster *cluster = link->cluster;
    const struct instance *in = instance_find(cluster, m->instance_id);
    const struct relay refused = { .id = m->id, .peer = link->member };
    struct relay *r = NULL;
    struct err err = { 0 };

    if (in && in->view.state == INSTANCE_READY)
        r = relay_new(cluster, m->id, in->view.view.id);
    if (!r) {
        say_ended(&refused);
        return;
    }
    r->peer = link->member;
    r->link = link;
    if (connect_driver(r, in, &err) != ST_OK) {
        log_debug("a relay to instance %.8s is refused: %s", r->instance_id, err.words);
        say_ended(r);
        relay_free(r);
    }
}

/* ---- both sides ---- */

static struct relay *find(const struct cluster *cluster, const struct member *peer,
                          const Wire__Relay *m)
{
    struct relay *r = cluster->relays;

    while (r && (r->peer != peer || r->id != m->id || r->is_opener == (m->is_of_opener != 0)))
        r = r->next_relay;
    return r;
}

/* More than the window is not what a peer sends that keeps to it. */
static void take_bytes(struct relay *r, const ProtobufCBinaryData *bytes)
{
    struct evbuffer *out = bufferevent_get_output(r->end);

    if (!r->is_open || r->is_ending || bytes->len == 0)
        return;
    if (evbuffer_get_length(out) + bytes->len > RELAY_WINDOW_BYTES ||
        bufferevent_write(r->end, bytes->data, bytes->len) != 0) {
        say_ended(r);
        relay_free(r);
        return;
    }
    r->n_untold += bytes->len;
}

static void take_end_of_peer(struct relay *r)
{
    if (r->is_opener && !r->is_open) {
        (void)ask_next(r);
        return;
    }
    r->is_ending = true;
    if (evbuffer_get_length(bufferevent_get_output(r->end)) == 0)
        relay_free(r);
}

void relay_receive(struct link *link, const Wire__Relay *m)
{
    struct relay *r = find(link->cluster, link->member, m);

    if (!r) {
        if (m->is_of_opener && m->what_case == WIRE__RELAY__WHAT_INSTANCE_ID)
            accept_relay(link, m);
        return; /* else it ended here while this was under way */
    }
    switch ((int)m->what_case) {
    case WIRE__RELAY__WHAT_IS_OPENED:
        r->is_open = true;
        pump(r);
        return;
    case WIRE__RELAY__WHAT_BYTES: take_bytes(r, &m->bytes); return;
    case WIRE__RELAY__WHAT_N_TAKEN:
        r->n_under_way -= m->n_taken < r->n_under_way ? (size_t)m->n_taken : r->n_under_way;
        pump(r);
        return;
    case WIRE__RELAY__WHAT_IS_ENDED: take_end_of_peer(r); return;
    default: return;
    }
}

/* Its channel is gone, or the node that was asked does not answer. */
static bool is_lost(const struct relay *r, uint64_t now_ns)
{
    return r->peer->link != r->link || (r->is_opener && !r->is_open && now_ns > r->until_ns);
}

void relays_tick(struct cluster *cluster, uint64_t now_ns)
{
    for (struct relay *r = cluster->relays, *next; r; r = next) {
        next = r->next_relay;
        if (!is_lost(r, now_ns))
            continue;
        if (r->is_opener && !r->is_open)
            (void)ask_next(r);
        else
            relay_free(r);
    }
}

void relays_free(struct cluster *cluster)
{
    while (cluster->relays)
        relay_free(cluster->relays);
}
