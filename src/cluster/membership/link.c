/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/link.c - the channel to one peer.
 *
 *   connecting --connected--> waiting for Hello --Hello agrees--> up --EOF, silence--> ended
 *   accepted ---------------/        |
 *                                    `--it does not, or is late--> refused or lost
 *
 * Of two nodes of the configuration the one whose name sorts lower connects;
 * an address that discovery found is called by whoever found it, and when a channel ends
 * under a peer that answers datagrams both ends call, so two
 * channels of one pair may cross (hello.c says which stays).  That call also tells a
 * process that died, whose machine says that nobody listens, from a connection that broke.
 *
 * With a key, an accepted connection shakes hands before it is a stranger who
 * may say Hello; both have one deadline each.  When STRANGERS_MAX are waiting,
 * the one that waits longest makes room: who means well is done in
 * milliseconds, so a flood does not keep it out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"
#include "cluster/discovery/candidates.h"
#include "cluster/membership/watch.h"
#include "cluster/topology/figures.h"

static void link_unlist(struct link *link)
{
    struct link **at = &link->cluster->links;

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
}

static void link_free(struct link *link)
{
    if (link->candidate)
        candidate_ended(link->candidate);
    link_unlist(link);
    channel_free(link->channel);
    free(link);
}

static struct link *link_new(struct cluster *cluster)
{
    struct link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->cluster = cluster;
    link->hello_until_ns = deadline_after_ms(HELLO_WITHIN_MS);
    link->next = cluster->links;
    cluster->links = link;
    return link;
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *message)
{
    (void)channel;
    dispatch(arg, (const Wire__NodeMessage *)message);
}

/* A wrong key is worth a word, but a node that calls again and again is not worth many. */
static void warn_denied(struct link *link, const struct err *why)
{
    struct cluster *cluster = link->cluster;
    const uint64_t now_ns = clock_ns();

    if (now_ns < cluster->warn_denied_after_ns)
        return;
    cluster->warn_denied_after_ns = now_ns + WARN_AGAIN_MS * NS_PER_MS;
    log_warn("the node at %s cannot be joined: %s", link->host, why->words);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct link *link = arg;
    struct cluster *cluster = link->cluster;
    struct member *member = channel_was_refused(channel) ? link->member : NULL;

    if (reason->status == ST_DENIED && link->is_outgoing)
        warn_denied(link, reason);
    link_lose(link, reason->words);
    if (member && !member->link)
        member_lost(cluster, member, "its process ended");
}

static void on_open(void *arg, struct channel *channel)
{
    struct link *link = arg;

    if (!link->is_outgoing)
        return;
    channel_peer_host(channel, link->host,
                      sizeof(link->host)); /* of several, the one that was first */
    hello_send(link);
}

static const struct channel_events link_events = {
    .type = &wire__node_message__descriptor,
    .max_bytes = FRAME_MAX_BYTES,
    .max_queued_bytes = QUEUE_MAX_BYTES,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static bool is_stranger(const struct link *link)
{
    return !link->member && !link->is_outgoing && !link->is_retired;
}

static size_t n_strangers(const struct cluster *cluster, const char *host)
{
    size_t n = 0;

    for (const struct link *l = cluster->links; l; l = l->next)
        n += is_stranger(l) && (!host || strcmp(l->host, host) == 0);
    return n;
}

/* New links are listed first, so the last is the oldest. */
static void drop_oldest_stranger(struct cluster *cluster)
{
    struct link *oldest = NULL;

    for (struct link *l = cluster->links; l; l = l->next)
        if (is_stranger(l))
            oldest = l;
    if (oldest)
        link_drop(oldest, "others wait too");
}

static enum status accept_channel(struct cluster *cluster, int fd, struct link *link,
                                  struct err *err)
{
    if (!cluster->tls)
        return channel_new(cluster->loop, fd, &link_events, link, &link->channel, err);
    return channel_accept(cluster->loop, fd, cluster->tls, HELLO_WITHIN_MS, &link_events, link,
                          &link->channel, err);
}

/* Refusals are told at debug level: a flood must not fill the log as well. */
static void on_accept(void *arg, int fd, const char *peer_host)
{
    struct cluster *cluster = arg;
    struct link *link = NULL;
    struct err err;

    if (n_strangers(cluster, peer_host) >= STRANGERS_PER_HOST_MAX) {
        log_debug("a connection from %s is refused: too many of it wait to say who they are",
                  peer_host);
        close(fd);
        return;
    }
    if (n_strangers(cluster, NULL) >= STRANGERS_MAX)
        drop_oldest_stranger(cluster);
    link = link_new(cluster);
    if (!link) {
        close(fd);
        return;
    }
    (void)snprintf(link->host, sizeof(link->host), "%s", peer_host);
    if (accept_channel(cluster, fd, link, &err) != ST_OK) {
        log_debug("a connection from %s is lost: %s", peer_host, err.words);
        link_free(link);
    }
}

enum status link_listen(struct cluster *cluster, const char *host, uint16_t port, struct err *err)
{
    if (!cluster->tls && !host_is_loopback(host)) {
        log_warn("without a cluster key peers are heard on loopback only: make one with 'pomona "
                 "keys cluster' and copy it to every node");
        host = "127.0.0.1";
    }
    if (strcmp(host, "::") == 0 && /* where IPv6 is off, IPv4 alone will do */
        listener_new(cluster->loop, host, port, on_accept, cluster, &cluster->listener, NULL) ==
            ST_OK)
        return ST_OK;
    if (strcmp(host, "::") == 0)
        host = "0.0.0.0";
    return listener_new(cluster->loop, host, port, on_accept, cluster, &cluster->listener, err);
}

static void retry_later(struct member *member)
{
    member->attempt_at_ns = deadline_after_ms(member->backoff_ms);
    member->backoff_ms *= 2;
    if (member->backoff_ms > BACKOFF_LAST_MS)
        member->backoff_ms = BACKOFF_LAST_MS;
}

/* hosts  in the order to try them; NULL: `host` */
static enum status link_dial(struct link *link, const char *host, const struct hosts *hosts,
                             uint16_t port, struct err *err)
{
    const struct channel_target target = { host, port, CONNECT_WITHIN_MS, link->cluster->tls,
                                           hosts };

    link->is_outgoing = true;
    (void)snprintf(link->host, sizeof(link->host), "%s", host);
    if (!target.tls && !host_is_loopback(host))
        return err_set(err, ST_DENIED, "without a cluster key only loopback is called, not %s",
                       host);
    return channel_dial(link->cluster->loop, &target, &link_events, link, &link->channel, err);
}

static void link_connect(struct cluster *cluster, struct member *member)
{
    struct link *link = link_new(cluster);
    struct hosts hosts;
    struct err err;

    if (!link) {
        retry_later(member);
        return;
    }
    ways_to(cluster, member, WAY_TOKENS_BYTES, &hosts);
    if (link_dial(link, member->info.host, cluster->tls ? &hosts : NULL, member->info.port, &err) !=
        ST_OK) {
        log_with(LOG_DEBUG, "a node cannot be reached", log_text("peer", member->info.name),
                 log_text("error", err.words));
        link_free(link);
        retry_later(member);
        return;
    }
    link->member = member;
    member->link = link;
}

/* Of two configured nodes the lower name calls; both do, where the other is alive. */
static bool is_to_call(const struct cluster *cluster, const struct member *m)
{
    return !m->info.is_local && !m->link &&
           (m->info.is_alive ||
            (m->is_configured && strcmp(cluster->self->info.name, m->info.name) < 0));
}

/* An alive member is called when it is due; the tick is soon enough for the others. */
void links_call(struct cluster *cluster)
{
    const uint64_t now_ns = clock_ns();
    uint64_t next_ns = UINT64_MAX;

    for (size_t i = 0; i < cluster->n_members; i++) {
        struct member *m = &cluster->members[i];

        if (is_to_call(cluster, m) && now_ns >= m->attempt_at_ns)
            link_connect(cluster, m);
        if (m->info.is_alive && is_to_call(cluster, m) && m->attempt_at_ns < next_ns)
            next_ns = m->attempt_at_ns;
    }
    if (next_ns < UINT64_MAX)
        loop_timer_once(cluster->call, next_ns > now_ns ? (next_ns - now_ns) / NS_PER_MS + 1 : 0);
}

enum status link_call(struct cluster *cluster, struct candidate *candidate, struct err *err)
{
    struct link *link = link_new(cluster);
    enum status s;

    if (!link)
        return err_set(err, ST_NOMEM, "a link");
    s = link_dial(link, candidate->host, NULL, candidate->port, err);
    if (s != ST_OK) {
        link_free(link);
        return s;
    }
    link->candidate = candidate;
    candidate->link = link;
    return ST_OK;
}

void link_up(struct link *link)
{
    struct member *member = link->member;

    link->is_up = true;
    link->up_ns = link->heard_ns = clock_ns();
    member->backoff_ms = BACKOFF_FIRST_MS;
    if (!member->info.is_alive)
        ways_whole_again(member);
    topology_send(link);
    watch_follow(link->cluster, member, link);
    if (member->info.is_alive) { /* it takes the place of another that was up */
        member_channel_back(link->cluster, member);
    } else {
        member->info.is_alive = true;
        log_with(LOG_INFO, "a node joined", log_text("peer", member->info.name));
        cluster_changed(link->cluster);
    }
    lead_member_up(link->cluster, member);
}

void link_lose(struct link *link, const char *words)
{
    struct cluster *cluster = link->cluster;
    struct member *member = link->member;
    const bool was_up = link->is_up;
    const uint64_t lived_ms = was_up ? (clock_ns() - link->up_ns) / NS_PER_MS : 0;
    const bool is_the_members = member && member->link == link;

    link_free(link);
    if (!is_the_members)
        return;
    member->link = NULL;
    retry_later(member);
    if (was_up) {
        member_channel_ended(cluster, member, lived_ms, words);
        return;
    }
    log_with(LOG_DEBUG, "there is no channel to a node", log_text("peer", member->info.name),
             log_text("error", words));
    links_call(cluster);
}

void link_drop(struct link *link, const char *words)
{
    log_debug("a channel to %s is dropped: %s", link->host, words);
    if (link->member && link->member->link == link)
        link->member->link = NULL;
    link_free(link);
}

void link_retire(struct link *link)
{
    if (link->member && link->member->link == link)
        link->member->link = NULL;
    if (link->candidate)
        candidate_ended(link->candidate);
    link->candidate = NULL;
    link->is_up = false;
    link->is_retired = true;
    link->hello_until_ns = deadline_after_ms(RETIRE_MS); /* then beats_tick() ends it */
}

void link_refuse(struct link *link, const char *words)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Refused refused = WIRE__REFUSED__INIT;

    log_with(LOG_WARN, "a peer is refused",
             log_text("peer", link->member ? link->member->info.name : NULL),
             log_text("error", words));
    link->is_refused = true;
    refused.words = (char *)words;
    message.body_case = WIRE__NODE_MESSAGE__BODY_REFUSED;
    message.refused = &refused;
    link_send(link, &message);
    channel_finish(link->channel);
}

void links_free(struct cluster *cluster)
{
    listener_free(cluster->listener);
    cluster->listener = NULL;
    while (cluster->links)
        link_free(cluster->links);
}

void link_send(struct link *link, const Wire__NodeMessage *message)
{
    channel_send(link->channel, &message->base);
}

void link_send_to(struct member *member, const Wire__NodeMessage *message)
{
    if (member->link && member->link->is_up)
        link_send(member->link, message);
}

void link_broadcast(struct cluster *cluster, const Wire__NodeMessage *message)
{
    for (size_t i = 0; i < cluster->n_members; i++)
        link_send_to(&cluster->members[i], message);
}
