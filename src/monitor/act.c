/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/act.c - what is done about a critical finding: an instance is replaced, a node is drained.
 *
 * A node that the monitor drained takes part again when the finding is over.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/monitor_priv.h"

enum { ACT_DEADLINE_S = 5, HOUR_S = 3600 };

static void on_answer(void *arg, const struct fetch_answer *answer)
{
    (void)arg;
    if (answer->status != 200)
        log_warn("a node did not do what the monitor asked for: %s",
                 answer->status == 0 ? answer->why : "it refused");
}

static void post(struct monitor *m, const char *path, const char *key, const char *name)
{
    const struct target *someone = poll_someone(m);
    json_t *body = json_pack("{s:s}", key, name);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (!someone || !text ||
        monitor_ask(m, someone, path, text, ACT_DEADLINE_S, on_answer, NULL) != ST_OK)
        log_warn("no node could be asked to do something about '%s'", name);
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
    post(m, "/cluster/replace", "instance", instance);
}

/* The node's name of "node/NAME" or "disk/NAME/..."; that of the monitor's machine for others. */
static void drain(struct monitor *m, const struct ledger_change *change)
{
    const char *node =
        strncmp(change->entry->subject, "node/", 5) == 0 ? change->entry->subject + 5 : m->name;

    if (m->drained[0]) {
        log_with(LOG_WARN, "a node is drained already, no second one is",
                 log_text("check", change->check->name),
                 log_text("subject", change->entry->subject), log_text("peer", m->drained));
        return;
    }
    log_with(LOG_WARN, "a node is drained", log_text("check", change->check->name),
             log_text("subject", change->entry->subject), log_text("peer", node));
    (void)snprintf(m->drained, sizeof(m->drained), "%s", node);
    post(m, "/cluster/drain", "node", node);
}

static void undrain(struct monitor *m, const struct ledger_change *change)
{
    if (!m->drained[0])
        return;
    log_with(LOG_INFO, "it is over, and a node takes part again",
             log_text("check", change->check->name), log_text("subject", change->entry->subject),
             log_text("peer", m->drained));
    post(m, "/cluster/undrain", "node", m->drained);
    m->drained[0] = '\0';
}

void act_on(struct monitor *m, const struct ledger_change *change)
{
    const bool is_critical = change->entry->finding.state == FINDING_CRITICAL;

    if (change->check->action == HEALTH_ACTION_REPLACE && is_critical)
        replace(m, change, change->entry->finding.since_ns);
    if (change->check->action != HEALTH_ACTION_DRAIN)
        return;
    if (is_critical)
        drain(m, change);
    else if (change->from == FINDING_CRITICAL && change->entry->finding.state != FINDING_UNKNOWN)
        undrain(m, change);
}
