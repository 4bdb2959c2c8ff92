/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/link.c - the channel to one peer.
 *
 *   connecting --connected--> waiting for Hello --Hello agrees--> up --EOF, silence--> lost
 *   accepted ---------------/        |
 *                                    `--it does not, or is late--> refused or lost
 *
 * The node whose name sorts lower connects, so there is one channel for a
 * pair.  A second one from the same peer means that it started anew: the
 * first is lost.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"

static void link_unlist(struct link *link)
{
    struct link **at = &link->cluster->links;

    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
}

static void link_free(struct link *link)
{
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

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    (void)channel;
    link_lose(arg, reason->words);
}

static void on_open(void *arg, struct channel *channel)
{
    (void)channel;
    hello_send(arg);
}

static const struct channel_events link_events = {
    .type = &wire__node_message__descriptor,
    .max_bytes = FRAME_MAX_BYTES,
    .max_queued_bytes = QUEUE_MAX_BYTES,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static size_t n_strangers(const struct cluster *cluster)
{
    size_t n = 0;

    for (const struct link *l = cluster->links; l; l = l->next)
        n += !l->member;
    return n;
}

static void on_accept(void *arg, int fd, const char *peer_host)
{
    struct cluster *cluster = arg;
    struct link *link = n_strangers(cluster) < STRANGERS_MAX ? link_new(cluster) : NULL;
    struct err err;

    if (!link) {
        log_warn("a connection from %s is refused: too many wait to say who they are", peer_host);
        close(fd);
        return;
    }
    if (channel_new(cluster->loop, fd, &link_events, link, &link->channel, &err) != ST_OK) {
        log_warn("a connection from %s is lost: %s", peer_host, err.words);
        link_free(link);
    }
}

enum status link_listen(struct cluster *cluster, const char *host, uint16_t port, struct err *err)
{
    return listener_new(cluster->loop, host, port, on_accept, cluster, &cluster->listener, err);
}

static void retry_later(struct member *member)
{
    member->attempt_at_ns = deadline_after_ms(member->backoff_ms);
    member->backoff_ms *= 2;
    if (member->backoff_ms > BACKOFF_LAST_MS)
        member->backoff_ms = BACKOFF_LAST_MS;
}

void link_connect(struct cluster *cluster, struct member *member)
{
    struct link *link = link_new(cluster);
    struct err err;

    if (!link) {
        retry_later(member);
        return;
    }
    link->is_outgoing = true;
    if (channel_connect(cluster->loop, member->info.host, member->info.port, CONNECT_WITHIN_MS,
                        &link_events, link, &link->channel, &err) != ST_OK) {
        log_debug("node '%s' cannot be reached: %s", member->info.name, err.words);
        link_free(link);
        retry_later(member);
        return;
    }
    link->member = member;
    member->link = link;
}

void link_up(struct link *link)
{
    struct member *member = link->member;

    link->is_up = true;
    link->heard_ns = clock_ns();
    member->info.is_alive = true;
    member->backoff_ms = BACKOFF_FIRST_MS;
    log_info("node '%s' joined", member->info.name);
    cluster_changed(link->cluster);
}

void link_lose(struct link *link, const char *words)
{
    struct cluster *cluster = link->cluster;
    struct member *member = link->member;
    const bool was_up = link->is_up;

    link_free(link);
    if (!member)
        return;
    member->link = NULL;
    retry_later(member);
    if (!was_up) {
        log_debug("no channel to node '%s': %s", member->info.name, words);
        return;
    }
    member->info.is_alive = false;
    member->info.rtt_ms = 0;
    log_warn("node '%s' is lost: %s", member->info.name, words);
    asks_coordinator_lost(cluster, member->info.name);
    instances_member_lost(cluster, member->info.name);
    cluster_changed(cluster);
}

void link_refuse(struct link *link, const char *words)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Refused refused = WIRE__REFUSED__INIT;

    log_warn("a peer is refused%s%s: %s", link->member ? ", node " : "",
             link->member ? link->member->info.name : "", words);
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
