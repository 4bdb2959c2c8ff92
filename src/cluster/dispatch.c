/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/dispatch.c - which message of the control channel goes where.
 *
 * To add a message: its entry in node.proto, a function that takes it, a row
 * in handlers[].  A function that fails says that the peer broke the
 * protocol; the channel ends with its words.
 *
 * What comes on a link that is retired was sent before the peer knew: it
 * counts, while the member lives that sent it.
 */
#include <stddef.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "cluster/cluster_priv.h"

static enum status on_hello(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return hello_receive(link, m->hello, err);
}

static enum status on_refused(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    log_warn("%s%s refuses this node: %.300s", link->member ? "node " : "a peer",
             link->member ? link->member->info.name : "", m->refused->words);
    return ST_OK;
}

static enum status on_beat(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    beat_receive(link, m->beat);
    return ST_OK;
}

static enum status on_echo(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    echo_receive(link, m->echo);
    return ST_OK;
}

static enum status on_models(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    cluster_changed(link->cluster);
    return models_receive(link->member, m->models->models, m->models->n_models, m->models->parts,
                          m->models->n_parts, err);
}

static enum status on_drain(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    drain_receive(link->cluster, m->drain);
    return ST_OK;
}

static enum status on_place(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return place_received(link, m->place, err);
}

static enum status on_place_reply(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    asks_replied(link->cluster, m->place_reply);
    return ST_OK;
}

static enum status on_assign(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return place_assigned(link->cluster, link->member->info.name, m->assign, err);
}

static enum status on_connect(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return place_connected(link->cluster, link->member->info.name, m->connect, err);
}

static enum status on_report(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    place_report(link->cluster, link->member->info.name, m->report);
    return ST_OK;
}

static enum status on_relay(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    relay_receive(link, m->relay);
    return ST_OK;
}

static enum status on_instance(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return instance_learn(link, m->instance, FROM_COORDINATOR, err);
}

static enum status on_progress(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    instance_learn_progress(link, m->progress);
    return ST_OK;
}

static enum status on_gone(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    instance_learn_gone(link, m->gone);
    return ST_OK;
}

static enum status on_council(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    lead_council_receive(link, m->council.data, m->council.len);
    return ST_OK;
}

static enum status on_roll(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return lead_roll_receive(link, m->roll, err);
}

static enum status on_unplace(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    (void)err;
    unplace_received(link, m->unplace);
    return ST_OK;
}

static enum status on_topology(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return topology_receive(link, m->topology, err);
}

static enum status on_probe(struct link *link, const Wire__NodeMessage *m, struct err *err)
{
    return probe_receive(link, m->probe, err);
}

enum { FROM_STRANGERS_TOO = 1u << 0 }; /* before Hello */

static const struct {
    enum status (*take)(struct link *link, const Wire__NodeMessage *message, struct err *err);
    unsigned flags;
} handlers[] = {
    [WIRE__NODE_MESSAGE__BODY_HELLO] = { on_hello, FROM_STRANGERS_TOO },
    [WIRE__NODE_MESSAGE__BODY_REFUSED] = { on_refused, FROM_STRANGERS_TOO },
    [WIRE__NODE_MESSAGE__BODY_BEAT] = { on_beat, 0 },
    [WIRE__NODE_MESSAGE__BODY_ECHO] = { on_echo, 0 },
    [WIRE__NODE_MESSAGE__BODY_MODELS] = { on_models, 0 },
    [WIRE__NODE_MESSAGE__BODY_DRAIN] = { on_drain, 0 },
    [WIRE__NODE_MESSAGE__BODY_PLACE] = { on_place, 0 },
    [WIRE__NODE_MESSAGE__BODY_PLACE_REPLY] = { on_place_reply, 0 },
    [WIRE__NODE_MESSAGE__BODY_ASSIGN] = { on_assign, 0 },
    [WIRE__NODE_MESSAGE__BODY_CONNECT] = { on_connect, 0 },
    [WIRE__NODE_MESSAGE__BODY_REPORT] = { on_report, 0 },
    [WIRE__NODE_MESSAGE__BODY_RELAY] = { on_relay, 0 },
    [WIRE__NODE_MESSAGE__BODY_INSTANCE] = { on_instance, 0 },
    [WIRE__NODE_MESSAGE__BODY_PROGRESS] = { on_progress, 0 },
    [WIRE__NODE_MESSAGE__BODY_GONE] = { on_gone, 0 },
    [WIRE__NODE_MESSAGE__BODY_COUNCIL] = { on_council, 0 },
    [WIRE__NODE_MESSAGE__BODY_ROLL] = { on_roll, 0 },
    [WIRE__NODE_MESSAGE__BODY_UNPLACE] = { on_unplace, 0 },
    [WIRE__NODE_MESSAGE__BODY_TOPOLOGY] = { on_topology, 0 },
    [WIRE__NODE_MESSAGE__BODY_PROBE] = { on_probe, FROM_STRANGERS_TOO },
};

void dispatch(struct link *link, const Wire__NodeMessage *message)
{
    const size_t kind = (size_t)message->body_case;
    struct err err;

    if (link->is_refused)
        return;
    link->heard_ns = clock_ns();
    if (kind >= ARRAY_LEN(handlers) || !handlers[kind].take) {
        link_refuse(link, "the peer sends a message that is not known here");
        return;
    }
    if (link->is_retired && (!link->member || (handlers[kind].flags & FROM_STRANGERS_TOO)))
        return;
    if (!link->is_up && !link->is_retired && !(handlers[kind].flags & FROM_STRANGERS_TOO))
        link_refuse(link, "the peer sends other messages before Hello");
    else if (handlers[kind].take(link, message, &err) != ST_OK)
        link_refuse(link, err.words);
}
