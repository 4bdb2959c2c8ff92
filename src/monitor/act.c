/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/act.c - what is done about a critical finding: an instance is replaced, a node is drained.
 *
 * A node that the monitor drained takes part again when no check wants it drained any more; one that a person drained
 * does not.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/monitor_priv.h"

enum { ACT_DEADLINE_S = 5, HOUR_S = 3600 };

#define DRAINED_BY "monitor/%.55s" /* of NODE_NAME_MAX bytes */

static void on_answer(void *arg, const struct fetch_answer *answer)
{
    (void)arg;
    if (answer->status != 200)
        log_warn("a node did not do what the monitor asked for: %s",
                 answer->status == 0 ? answer->why : "it refused");
}

/* body  taken; NULL: there was no memory for it */
static void post(struct monitor *m, const char *path, json_t *body)
{
    const struct target *someone = poll_someone(m);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (!someone || !text ||
        monitor_ask(m, someone, path, text, ACT_DEADLINE_S, on_answer, NULL) != ST_OK)
        log_warn("no node could be asked for %s", path);
    free(text);
    json_decref(body);
}

/* Not too often: what replacing does not help would be replaced for ever. */
static bool may_replace(struct canary *c, uint64_t now_ns)
{
    uint64_t *oldest = &c->replaced_ns[0];

    for (size_t i = 0; i < REPLACE_MAX; i++) {
        if (c->replaced_ns[i] != 0 && now_ns - c->replaced_ns[i] < REPLACE_PAUSE_S * NS_PER_S)
            return false;
        if (c->replaced_ns[i] < *oldest)
            oldest = &c->replaced_ns[i];
    }
    if (*oldest != 0 && now_ns - *oldest < HOUR_S * NS_PER_S)
        return false;
    *oldest = now_ns;
    return true;
}

static const char *model_of(const struct monitor *m, const char *instance)
{
    for (size_t i = 0; i < m->stall.n; i++)
        if (strcmp(m->stall.instances[i].id, instance) == 0)
            return m->stall.instances[i].model;
    return "";
}

static void replace(struct monitor *m, const struct ledger_change *change, uint64_t now_ns)
{
    const char *subject = change->entry->subject;
    const char *name = strchr(subject, '/') + 1;
    const bool is_instance = strncmp(subject, "instance/", 9) == 0;
    struct canary *c = canary_of(m, is_instance ? model_of(m, name) : name);
    const char *instance = is_instance ? name : c ? c->instance : "";

    if (!c || !instance[0]) {
        log_with(LOG_WARN, "no single instance can be told to be at fault, none is replaced",
                 log_text("check", change->check->name), log_text("subject", subject));
        return;
    }
    if (!may_replace(c, now_ns)) {
        log_with(LOG_WARN, "an instance was replaced too often, it stays",
                 log_text("check", change->check->name), log_text("subject", subject),
                 log_text("model", c->model));
        return;
    }
    log_with(LOG_WARN, "an instance is replaced", log_text("check", change->check->name),
             log_text("subject", subject), log_text("instance", instance));
    post(m, "/cluster/replace", json_pack("{s:s}", "instance", instance));
}

/* ---- draining ---- */

/* What the checks want of a node. */
enum want {
    WANT_NOTHING,  /* none of them is critical */
    WANT_PATIENCE, /* what one of them finds is not known */
    WANT_DRAINED,
};

/* The node that a finding concerns: of "node/NAME", or the monitor's own machine. */
static const char *node_of(const struct monitor *m, const struct ledger_entry *e)
{
    return strncmp(e->subject, "node/", 5) == 0 ? e->subject + 5 : m->name;
}

/* ret_why  the finding that wants it; set with WANT_DRAINED */
static enum want want_of(const struct monitor *m, const char *node, uint64_t now_ns,
                         const struct ledger_entry **ret_why)
{
    enum want want = WANT_NOTHING;
    bool is_known = now_ns - m->begun_ns > FORGET_S * NS_PER_S;
    size_t n;
    const struct ledger_entry *entries = ledger_entries(m->ledger, &n);

    for (size_t i = 0; i < n; i++) {
        const struct check *check = ledger_check(m->ledger, entries[i].check);

        if (check->action != HEALTH_ACTION_DRAIN || check->is_off ||
            strcmp(node_of(m, &entries[i]), node) != 0)
            continue;
        is_known = true;
        if (entries[i].finding.state == FINDING_CRITICAL) {
            *ret_why = &entries[i];
            return WANT_DRAINED;
        }
        if (entries[i].finding.state == FINDING_UNKNOWN)
            want = WANT_PATIENCE;
    }
    return is_known ? want : WANT_PATIENCE;
}

/* By what the node says of itself, so a monitor that starts anew knows what it did before; an older node does not. */
static bool is_mine(const struct monitor *m, const struct remote_member *node)
{
    char title[REMOTE_NAME_MAX];

    (void)snprintf(title, sizeof(title), DRAINED_BY, m->name);
    return node->tells_by ? strcmp(node->drained_by, title) == 0
                          : strcmp(node->name, m->drained) == 0;
}

/* Why it is not drained now; "": it may be.  Without a second node the models would have no place. */
static void find_objection(const struct remote_state *state, const struct remote_member *node,
                           char *ret_words, size_t n)
{
    bool has_others = false;

    ret_words[0] = '\0';
    for (size_t i = 0; i < state->n_members; i++) {
        const struct remote_member *other = &state->members[i];

        if (other == node)
            continue;
        has_others |= other->is_connected && !other->is_draining;
        if (other->is_draining)
            (void)snprintf(ret_words, n, "node '%s' is drained already", other->name);
    }
    if (!has_others && !ret_words[0])
        (void)snprintf(ret_words, n, "it is the only one that takes part");
}

/* Returns  whether the cluster is asked */
static bool drain(struct monitor *m, const struct remote_state *state,
                  const struct remote_member *node, const struct ledger_entry *why)
{
    const char *check = ledger_check(m->ledger, why->check)->name;
    char title[REMOTE_NAME_MAX], objection[REMOTE_NAME_MAX + 64];

    find_objection(state, node, objection, sizeof(objection));
    if (objection[0] && strcmp(m->undrained, node->name) != 0)
        log_with(LOG_WARN, "a node is not drained", log_text("check", check),
                 log_text("subject", why->subject), log_text("peer", node->name),
                 log_text("error", objection));
    (void)snprintf(m->undrained, sizeof(m->undrained), "%.63s", objection[0] ? node->name : "");
    if (objection[0])
        return false;
    log_with(LOG_WARN, "a node is drained", log_text("check", check),
             log_text("subject", why->subject), log_text("peer", node->name));
    m->drained_for_ns = why->finding.since_ns;
    m->was_drained = false;
    (void)snprintf(m->drained, sizeof(m->drained), "%.63s", node->name);
    (void)snprintf(title, sizeof(title), DRAINED_BY, m->name);
    post(m, "/cluster/drain", json_pack("{s:s, s:s}", "node", node->name, "by", title));
    return true;
}

static void undrain(struct monitor *m, const struct remote_member *node)
{
    log_with(LOG_INFO, "it is over, and a node takes part again", log_text("peer", node->name));
    m->drained[0] = '\0';
    post(m, "/cluster/undrain", json_pack("{s:s}", "node", node->name));
}

/* It drained for this very finding, and does not any more: a person thinks otherwise, or it began anew. */
static bool is_taken_back(const struct monitor *m, const struct remote_member *node,
                          const struct ledger_entry *why)
{
    return m->was_drained && strcmp(node->name, m->drained) == 0 &&
           why->finding.since_ns == m->drained_for_ns;
}

/* What is wanted is held against what the cluster says, again and again: a request may be lost, and this
 * process may be another than the one that drained. */
void act_tick(struct monitor *m, uint64_t now_ns)
{
    const struct target *someone = poll_someone(m);

    if (now_ns < m->next_act_ns || !someone)
        return;
    m->next_act_ns = now_ns + NS_PER_S;
    for (size_t i = 0; i < someone->state.n_members; i++) {
        const struct remote_member *node = &someone->state.members[i];
        const struct ledger_entry *why = NULL;
        const enum want want = want_of(m, node->name, now_ns, &why);

        m->was_drained |= node->is_draining && strcmp(node->name, m->drained) == 0;
        if (want == WANT_DRAINED && !node->is_draining && node->is_connected &&
            !is_taken_back(m, node, why)) {
            if (!drain(m, &someone->state, node, why))
                continue;
        } else if (want == WANT_NOTHING && node->is_draining && is_mine(m, node)) {
            undrain(m, node);
        } else {
            continue;
        }
        /* until the cluster says what became of it */
        m->next_act_ns =
            now_ns + NS_PER_S + (uint64_t)(2 * m->settings->every.poll * (double)NS_PER_S);
        return;
    }
}

void act_on(struct monitor *m, const struct ledger_change *change)
{
    if (change->check->action == HEALTH_ACTION_REPLACE &&
        change->entry->finding.state == FINDING_CRITICAL)
        replace(m, change, change->entry->finding.since_ns);
}
