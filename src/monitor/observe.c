/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/observe.c - what the nodes' states mean for checks. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "monitor/monitor_priv.h"

/* Where no datagrams come at all, that is said already. */
static void observe_loss(struct monitor *m, struct target *t, const struct remote_member *peer,
                         const char *subject, uint64_t now_ns)
{
    const double share = loss_learn(&t->loss, peer);

    if (peer->has_datagrams && !isnan(share))
        ledger_observe(m->ledger, subject, CHECK_LINK_LOSS, share, NULL, now_ns);
}

static void observe_links(struct monitor *m, struct target *t, uint64_t now_ns)
{
    const struct remote_state *state = &t->state;
    char subject[SUBJECT_MAX];

    for (size_t i = 0; i < state->n_members; i++) {
        const struct remote_member *peer = &state->members[i];

        if (peer->is_local || !peer->is_alive)
            continue;
        subject_name(subject, "link", state->node, peer->name);
        ledger_observe(m->ledger, subject, CHECK_LINK_CONNECTED, peer->is_connected, NULL, now_ns);
        if (!peer->is_connected)
            continue;
        ledger_observe(m->ledger, subject, CHECK_LINK_DATAGRAMS, peer->has_datagrams, NULL, now_ns);
        observe_loss(m, t, peer, subject, now_ns);
        if (peer->rtt_ms > 0)
            ledger_observe(m->ledger, subject, CHECK_LINK_RTT, peer->rtt_ms / 1000, NULL, now_ns);
    }
    for (size_t i = 0; i < state->n_links; i++) {
        const struct remote_link *link = &state->links[i];
        char words[CHANGE_WORDS_MAX];

        if (strcmp(link->from, state->node) != 0) /* it tells of its own ways best */
            continue;
        (void)snprintf(words, sizeof(words), "at %s", link->host);
        subject_name(subject, "path", link->from, link->host);
        ledger_observe(m->ledger, subject, CHECK_LINK_ANSWERS, link->answers, words, now_ns);
        if (link->bytes_per_s > 0)
            ledger_observe(m->ledger, subject, CHECK_LINK_SPEED, link->bytes_per_s / 1e6, words,
                           now_ns);
    }
}

static void observe_stalls(struct monitor *m, uint64_t now_ns)
{
    for (size_t i = 0; i < m->stall.n; i++) {
        const struct stall_instance *in = &m->stall.instances[i];
        char subject[SUBJECT_MAX], words[CHANGE_WORDS_MAX];

        if (in->seen_ns + (uint64_t)(3 * m->settings->every.poll * (double)NS_PER_S) < now_ns)
            continue; /* nobody tells of it any more */
        (void)snprintf(words, sizeof(words), "of %s", in->model);
        subject_name(subject, "instance", in->id, NULL);
        ledger_observe(m->ledger, subject, CHECK_INSTANCE_STALLED,
                       stall_seconds(&m->stall, i, canary_open_ns(m, in->model), now_ns), words,
                       now_ns);
    }
}

void observe_state(struct monitor *m, struct target *t, uint64_t now_ns)
{
    stall_learn(&m->stall, &t->state, 30 * NS_PER_S, now_ns);
    observe_links(m, t, now_ns);
}

static size_t count_versions(const struct monitor *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_targets; i++) {
        bool is_new = m->targets[i].is_up && m->targets[i].version[0];

        for (size_t k = 0; is_new && k < i; k++)
            is_new =
                !m->targets[k].is_up || strcmp(m->targets[k].version, m->targets[i].version) != 0;
        n += is_new;
    }
    return n;
}

/* Which instances of its model are ready, as one node says. */
static void count_instances(const struct remote_state *state, struct canary *c)
{
    uint64_t kinds[CANARY_ANSWERS_MAX];

    c->n_kinds = c->n_instances = 0;
    c->signature = 0;
    c->instance[0] = '\0';
    for (size_t i = 0; i < state->n_instances; i++) {
        const struct remote_instance *in = &state->instances[i];
        bool is_new = c->n_kinds < CANARY_ANSWERS_MAX;

        if (!in->is_ready || strcmp(in->model, c->model) != 0)
            continue;
        for (size_t k = 0; k < c->n_kinds; k++)
            is_new = is_new && kinds[k] != in->signature;
        if (is_new)
            kinds[c->n_kinds++] = in->signature;
        c->signature ^=
            is_new ? in->signature : 0; /* in any order; a copy more gives no other answer */
        memcpy(c->instance, in->id, sizeof(c->instance));
        c->n_instances++;
    }
    if (c->n_instances > 1)
        c->instance[0] = '\0';
    c->is_there = c->n_instances > 0;
}

/* Wanted and ready, as one node sees it: all of them see the same. */
static void observe_models(struct monitor *m, const struct remote_state *state, uint64_t now_ns)
{
    for (size_t i = 0; i < state->n_instances; i++)
        (void)canary_of(m, state->instances[i].model);
    for (size_t i = 0; i < m->n_canaries; i++)
        count_instances(state, &m->canaries[i]);
    for (size_t i = 0; i < state->n_wanted; i++) {
        const struct remote_wanted *w = &state->wanted[i];
        const struct canary *c = canary_of(m, w->model);

        if (c && w->n_copies > 0)
            ledger_observe(m->ledger, c->subject, CHECK_MODEL_READY,
                           (double)(c->n_instances < w->n_copies ? c->n_instances : w->n_copies) /
                               (double)w->n_copies,
                           NULL, now_ns);
    }
}

void observe_cluster(struct monitor *m, uint64_t now_ns)
{
    const struct target *someone = poll_someone(m);
    char subject[SUBJECT_MAX];

    if (!someone)
        return;
    subject_name(subject, "cluster", m->cluster->cluster.name, NULL);
    ledger_observe(m->ledger, subject, CHECK_NODE_VERSIONS, (double)count_versions(m), NULL,
                   now_ns);
    if (someone->state.node[0])
        observe_models(m, &someone->state, now_ns);
    observe_stalls(m, now_ns);
}

void observe_metrics(struct monitor *m, const char *text, uint64_t now_ns)
{
    struct remote_sample sample;

    while (remote_sample_next(&text, &sample)) {
        char subject[SUBJECT_MAX];

        if (strcmp(sample.label, "upstream") != 0)
            continue;
        subject_name(subject, "upstream", sample.label_value, NULL);
        if (strcmp(sample.name, "pomona_upstream_up") == 0)
            ledger_observe(m->ledger, subject, CHECK_UPSTREAM_UP, sample.value, NULL, now_ns);
        if (strcmp(sample.name, "pomona_upstream_ejected") == 0)
            ledger_observe(m->ledger, subject, CHECK_UPSTREAM_EJECTED, sample.value, NULL, now_ns);
    }
}
