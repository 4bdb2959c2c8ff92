/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/watch.c - membership by datagrams, wired to this node's peers. */
#include "cluster/membership/watch.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/random.h"
#include "base/size.h"
#include "cluster/membership/datagrams.h"

_Static_assert(2 * (int)SWIM_ID_BYTES + 1 == sizeof(((struct cluster_member *)0)->id),
               "an id is the same in both");

struct watch {
    struct cluster *cluster;
    struct swim *swim;
    struct datagrams *datagrams;
    struct loop_timer *timer;
    bool has_news;      /* since the members were judged last */
    uint64_t ask_at_ns; /* when the next address is asked */
    size_t ask_next;    /* of the members */
};

static bool id_of(const struct member *member, struct swim_id *ret_id)
{
    return strlen(member->info.id) == 2 * SWIM_ID_BYTES &&
           hex_read(member->info.id, SWIM_ID_BYTES, ret_id->bytes);
}

static struct member *member_of(struct cluster *cluster, const struct swim_id *id)
{
    char text[2 * SWIM_ID_BYTES + 1];

    hex_write(id->bytes, SWIM_ID_BYTES, text);
    return member_by_id(cluster, text);
}

/* Where its channel is rather than what it says: that address was reached already. */
static void send_datagram(void *arg, const struct swim_id *to, const struct swim_address *address,
                          const uint8_t *bytes, size_t n)
{
    struct watch *w = arg;
    const struct member *member = to ? member_of(w->cluster, to) : NULL;
    struct address there;

    if (member && member->address.length > 0)
        there = member->address;
    else
        swim_address_read(address, &there);
    datagrams_send(w->datagrams, &there, bytes, n);
}

static void on_event(void *arg, const struct swim_member *m, enum swim_state was)
{
    struct watch *w = arg;
    struct member *member = member_of(w->cluster, &m->id);

    log_debug("datagrams: node %s was %s, is %s", member ? member->info.name : "of no name here",
              swim_state_word(was), swim_state_word((enum swim_state)m->state));
    w->has_news = true;
    if (member && m->state == SWIM_ALIVE && !member->link)
        member->attempt_at_ns = 0; /* it is there: call it with the next tick */
}

static uint64_t draw(void *arg)
{
    (void)arg;
    return random_u64();
}

static const struct swim_effects effects = { send_datagram, on_event, draw };

static void judge_if_news(struct watch *w, uint64_t now_ns)
{
    if (!w->has_news)
        return;
    w->has_news = false;
    members_judge(w->cluster, now_ns);
}

static void on_datagram(void *arg, const struct swim_address *from, const uint8_t *bytes, size_t n)
{
    const uint64_t now_ns = clock_ns();
    struct watch *w = arg;

    (void)swim_receive(w->swim, from, bytes, n, now_ns, NULL);
    judge_if_news(w, now_ns);
}

static void on_timer(void *arg)
{
    struct watch *w = arg;
    const uint64_t now_ns = clock_ns(), next_ns = swim_tick(w->swim, now_ns);

    loop_timer_once(w->timer, (next_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS);
    judge_if_news(w, now_ns);
}

static enum status swim_start(struct watch *w, struct err *err)
{
    const struct member *self = w->cluster->self;
    const char *name = w->cluster->cluster_name;
    const struct swim_params params = swim_params_lan(XXH3_64bits(name, strlen(name)));
    struct swim_member record = { .incarnation = (uint32_t)clock_unix_s() };
    struct address address;
    enum status s;

    if (!id_of(self, &record.id))
        return err_set(err, ST_RANGE, "this node's id '%s' is not of 32 digits", self->info.id);
    s = address_parse(self->info.host, self->info.port, &address, err);
    if (s == ST_OK && !swim_address_of(&address, &record.address))
        s = err_set(err, ST_RANGE, "'%s' is no address for datagrams", self->info.host);
    if (s == ST_OK)
        s = swim_new(&params, &record, &effects, w, clock_ns(), &w->swim, err);
    return s;
}

static enum status watch_open(struct watch *w, const struct cluster_options *o, struct err *err)
{
    const char *host = o->listen_host ? o->listen_host : o->host;
    const struct datagrams_options options = {
        .key = o->key,
        .cluster_name = w->cluster->cluster_name,
        .host = o->key || host_is_loopback(host) ? host : "127.0.0.1",
        .port = o->port,
    };
    enum status s = swim_start(w, err);

    if (s == ST_OK)
        s = datagrams_open(w->cluster->loop, &options, on_datagram, w, &w->datagrams, err);
    if (s == ST_OK && loop_timer_new(w->cluster->loop, on_timer, w, &w->timer) != ST_OK)
        s = err_set(err, ST_NOMEM, "the timer of membership");
    return s;
}

void watch_start(struct cluster *cluster, const struct cluster_options *options)
{
    struct watch *w = calloc(1, sizeof(*w));
    struct err err;
    enum status s = w ? ST_OK : err_set(&err, ST_NOMEM, "membership by datagrams");

    if (s == ST_OK) {
        w->cluster = cluster;
        s = watch_open(w, options, &err);
    }
    if (s != ST_OK) {
        log_warn("peers are watched by their channels alone: %s", err.words);
        watch_free(w);
        return;
    }
    cluster->watch = w;
    loop_timer_once(w->timer, 0);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    loop_timer_free(w->timer);
    if (w->swim && w->datagrams)
        swim_leave(w->swim, clock_ns());
    datagrams_close(w->datagrams);
    swim_free(w->swim);
    free(w);
}

void watch_follow(struct cluster *cluster, struct member *member, const struct link *link)
{
    struct swim_member record = { .state =
                                      SWIM_ALIVE }; /* incarnation 0: anything it says is news */
    struct err err;

    member->address.length = 0;
    if (!cluster->watch || !member->speaks_swim || !id_of(member, &record.id) ||
        address_parse(link->host, member->info.port, &member->address, NULL) != ST_OK ||
        !swim_address_of(&member->address, &record.address))
        return;
    if (swim_add(cluster->watch->swim, &record, clock_ns(), &err) != ST_OK)
        log_warn("node '%s' is watched by its channel alone: %s", member->info.name, err.words);
}

void watch_doubt(struct cluster *cluster, const struct member *member)
{
    struct swim_id id;

    if (cluster->watch && id_of(member, &id))
        swim_doubt(cluster->watch->swim, &id, clock_ns());
}

enum datagram_sign watch_sign(const struct cluster *cluster, const struct member *member)
{
    static const enum datagram_sign signs[] = {
        [SWIM_ABSENT] = SIGN_UNHEARD, [SWIM_ALIVE] = SIGN_ANSWERS, [SWIM_SUSPECT] = SIGN_SUSPECT,
        [SWIM_DEAD] = SIGN_DEAD,      [SWIM_LEFT] = SIGN_DEAD,
    };
    const struct watch *w = cluster->watch;
    struct swim_id id;

    if (!w || !member->speaks_swim || !id_of(member, &id) || swim_incarnation_of(w->swim, &id) == 0)
        return SIGN_UNHEARD;
    return signs[swim_state_of(w->swim, &id)];
}

/* One of which something is known goes its own way; one that is not answers to this
 * alone: it may have been forgotten on both sides of a firewall that is open again. */
static void ask_one(struct watch *w, uint64_t now_ns)
{
    struct cluster *cluster = w->cluster;

    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[w->ask_next++ % cluster->n_members];
        struct swim_address where;
        struct address address;

        if (m->info.is_local || m->info.port == 0 || watch_sign(cluster, m) == SIGN_ANSWERS)
            continue;
        if (m->address.length > 0)
            address = m->address;
        else if (address_parse(m->info.host, m->info.port, &address, NULL) != ST_OK)
            continue;
        if (!swim_address_of(&address, &where))
            continue;
        swim_join(w->swim, &where, now_ns);
        return;
    }
}

/* Say it once when nothing comes, and when something does again. */
static void notice_blocked(struct cluster *cluster, struct member *m, uint64_t now_ns)
{
    const enum datagram_sign sign = watch_sign(cluster, m);
    const bool comes = sign == SIGN_ANSWERS || sign == SIGN_SUSPECT;
    struct swim_id id;

    m->info.has_datagrams = comes;
    if (id_of(m, &id))
        swim_pings(cluster->watch->swim, &id, &m->info.n_pings, &m->info.n_pongs);
    if (comes && m->is_said_blocked)
        log_info("datagrams of node '%s' come again", m->info.name);
    if (comes)
        m->is_said_blocked = false;
    if (comes || !m->link || !m->link->is_up)
        m->datagrams_ns = now_ns;
    else if (!m->is_said_blocked && now_ns > m->datagrams_ns + BLOCKED_AFTER_MS * NS_PER_MS) {
        m->is_said_blocked = true;
        log_warn("no datagrams of node '%s' come, so its channel alone tells whether it is there: "
                 "let UDP port %u through the firewalls of both",
                 m->info.name, m->info.port);
    }
}

/* A node that peers talk of, and this one has no channel to. */
static void tell_discovery(struct watch *w, const struct swim_member *m)
{
    const struct member *member = member_of(w->cluster, &m->id);
    char id[2 * SWIM_ID_BYTES + 1], host[HOST_MAX];
    struct address address;

    if (m->state != SWIM_ALIVE || (member && (member->link || member->info.is_local)))
        return;
    hex_write(m->id.bytes, SWIM_ID_BYTES, id);
    swim_address_read(&m->address, &address);
    if (getnameinfo((const struct sockaddr *)&address.storage, address.length, host, sizeof(host),
                    NULL, 0, NI_NUMERICHOST) == 0)
        candidate_heard(w->cluster, host, m->address.port, id);
}

static void tell_discovery_all(struct watch *w)
{
    struct swim_member list[2 * NODES_MAX];
    const size_t n = swim_members(w->swim, list, ARRAY_LEN(list));

    for (size_t i = 0; i < n && i < ARRAY_LEN(list); i++)
        tell_discovery(w, &list[i]);
}

void watch_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct watch *w = cluster->watch;

    if (!w)
        return;
    for (size_t i = 0; i < cluster->n_members; i++)
        if (!cluster->members[i].info.is_local && cluster->members[i].speaks_swim)
            notice_blocked(cluster, &cluster->members[i], now_ns);
    if (now_ns < w->ask_at_ns)
        return;
    w->ask_at_ns = now_ns + ASK_EVERY_MS * NS_PER_MS;
    ask_one(w, now_ns);
    tell_discovery_all(w);
}
