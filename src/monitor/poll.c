/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/poll.c - ask every node for its readiness, its state and its metrics.
 *
 * Each of the three is asked again when its last answer came, so a slow node is not asked more and more.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/monitor_priv.h"

enum status poll_new(struct monitor *m, struct err *err)
{
    m->n_targets = m->cluster->nodes_count;
    m->targets = calloc(m->n_targets, sizeof(*m->targets));
    if (!m->targets)
        return err_set(err, ST_NOMEM, "the list of nodes");
    for (size_t i = 0; i < m->n_targets; i++) {
        struct target *t = &m->targets[i];

        t->monitor = m;
        t->node = &m->cluster->nodes[i];
        subject_name(t->subject, "node", t->node->name, NULL);
    }
    return ST_OK;
}

void poll_free(struct monitor *m)
{
    for (size_t i = 0; m->targets && i < m->n_targets; i++)
        remote_state_release(&m->targets[i].state);
    free(m->targets);
}

struct target *poll_someone(struct monitor *m)
{
    struct target *someone = NULL;

    for (size_t i = 0; i < m->n_targets; i++) {
        struct target *t = &m->targets[i];

        if (t->is_up && (!someone || strcmp(t->node->name, m->name) == 0))
            someone = t;
    }
    return someone;
}

/* The clock of a node is read somewhere between question and answer: it differs by less than half of
 * that from what it is compared with. */
static void observe_clock(struct target *t, const struct remote_ready *ready,
                          const struct fetch_answer *answer)
{
    const double way_ms = (double)(answer->ended_ns - answer->begun_ns) / 2e6;
    const double here_ms = (double)clock_unix_ms() - way_ms;

    if (ready->unix_ms > 0)
        ledger_observe(t->monitor->ledger, t->subject, CHECK_NODE_CLOCK,
                       fmax(0, fabs((double)ready->unix_ms - here_ms) - way_ms - 1) / 1000, NULL,
                       answer->ended_ns);
}

static void observe_answer(struct target *t, const struct fetch_answer *answer)
{
    struct ledger *ledger = t->monitor->ledger;
    struct remote_ready ready;
    char words[CHANGE_WORDS_MAX] = "";

    if (remote_ready_read(answer->bytes, answer->n, &ready, NULL) != ST_OK) {
        ledger_observe(ledger, t->subject, CHECK_API_READY, 0, "its answer is not what a node says",
                       answer->ended_ns);
        return;
    }
    t->is_draining = strcmp(ready.status, "draining") == 0;
    memcpy(t->version, ready.version, sizeof(t->version));
    if (answer->status != 200)
        (void)snprintf(words, sizeof(words), "it says: %s", ready.status);
    ledger_observe(ledger, t->subject, CHECK_API_READY, answer->status == 200 || t->is_draining,
                   words, answer->ended_ns);
    ledger_observe(ledger, t->subject, CHECK_API_SECONDS,
                   (double)(answer->ended_ns - answer->begun_ns) / (double)NS_PER_S, NULL,
                   answer->ended_ns);
    observe_clock(t, &ready, answer);
}

static void on_ready(void *arg, const struct fetch_answer *answer)
{
    struct target *t = arg;

    t->asks_ready = false;
    t->is_up = answer->status != 0;
    ledger_observe(t->monitor->ledger, t->subject, CHECK_NODE_UP, t->is_up,
                   t->is_up ? NULL : answer->why, answer->ended_ns);
    if (t->is_up)
        observe_answer(t, answer);
}

static void on_state(void *arg, const struct fetch_answer *answer)
{
    struct target *t = arg;
    struct remote_state state;
    struct err err = { 0 };

    t->asks_state = false;
    if (answer->status == 401 || answer->status == 403) {
        if (!t->is_refused)
            log_warn("node '%s' wants a key of scope admin: set POMONA_API_KEY", t->node->name);
        t->is_refused = true;
        return;
    }
    remote_state_release(&t->state); /* what it told is no longer so */
    if (answer->status != 200)
        return;
    t->is_refused = false;
    if (remote_state_read(answer->bytes, answer->n, &state, &err) != ST_OK) {
        log_debug("node '%s': %s", t->node->name, err.words);
        return;
    }
    t->state = state;
    observe_state(t->monitor, t, answer->ended_ns);
}

static void on_metrics(void *arg, const struct fetch_answer *answer)
{
    struct target *t = arg;

    t->asks_metrics = false;
    if (answer->status == 200)
        observe_metrics(t->monitor, answer->bytes, answer->ended_ns);
}

static void ask(struct target *t)
{
    struct monitor *m = t->monitor;
    const double deadline_s = m->settings->deadline.poll;

    (void)snprintf(t->base, sizeof(t->base),
                   strchr(t->node->host, ':') ? "%s://[%s]:%u" : "%s://%s:%u",
                   m->settings->api_scheme, t->node->host, t->node->api_port);
    if (!t->asks_ready)
        t->asks_ready = monitor_ask(m, t, "/readyz", NULL, deadline_s, on_ready, t) == ST_OK;
    if (!t->asks_state && t->is_up)
        t->asks_state = monitor_ask(m, t, "/cluster/state", NULL, deadline_s, on_state, t) == ST_OK;
    if (!t->asks_metrics && t->is_up)
        t->asks_metrics = monitor_ask(m, t, "/metrics", NULL, deadline_s, on_metrics, t) == ST_OK;
}

void poll_tick(struct monitor *m, uint64_t now_ns)
{
    if (now_ns < m->next_poll_ns)
        return;
    m->next_poll_ns = now_ns + (uint64_t)(m->settings->every.poll * (double)NS_PER_S);
    for (size_t i = 0; i < m->n_targets; i++)
        ask(&m->targets[i]);
    observe_cluster(m, now_ns);
}
