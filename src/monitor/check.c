/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/check.c - the table of checks, and what the settings change of it. */
#include "monitor/check.h"

#include <string.h>

enum {
    NAME_LOOKUP_MAX_S = 30, /* a resolver's own patience */
    SYNC_MAX_S = 30,        /* of a disk that is nearly dead */
    PATH_MAX_S = 60,        /* of many paths, of which some do not answer */
    UNIT_MAX_S = 10,
};

static const struct check built_in[N_CHECKS] = {
#define X(id, group, sense, name, warning, critical, for_s, clear_s, action, words)                \
    { name, GROUP_##group,          sense, warning, critical, for_s, clear_s,                      \
      30,   HEALTH_ACTION_##action, 0,     words },
    CHECK_MAP(X)
#undef X
};

void checks_default(struct check *ret)
{
    memcpy(ret, built_in, sizeof(built_in));
}

static struct check *find(struct check *checks, const char *name)
{
    for (size_t i = 0; i < N_CHECKS; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    return NULL;
}

static void take(double *to, const double *from)
{
    if (from)
        *to = *from;
}

/* Three observations are missing. */
static double stale_s(enum check_id id, enum check_group group, const struct health_monitor *config)
{
    switch ((int)id) {
    case CHECK_CANARY_OK:
    case CHECK_CANARY_SECONDS:
    case CHECK_CANARY_WRONG: return 3 * config->every.canary + config->deadline.canary;
    case CHECK_NAME_FOUND:
    case CHECK_NAME_SECONDS: return 3 * config->every.names + NAME_LOOKUP_MAX_S;
    case CHECK_CERTIFICATE_DAYS: return 3 * config->every.certificates;
    case CHECK_LINK_MTU: return 3 * config->every.paths + PATH_MAX_S;
    case CHECK_UNIT_ACTIVE: return 3 * config->every.units + UNIT_MAX_S;
    case CHECK_DISK_READ:
    case CHECK_DISK_WRITE: return 3 * config->every.speed + SYNC_MAX_S;
    default: break;
    }
    return group == GROUP_RESOURCES ? 3 * config->every.machine + SYNC_MAX_S
                                    : 3 * config->every.poll + config->deadline.poll;
}

enum status checks_configure(struct check *checks, const struct health_monitor *config,
                             struct err *err)
{
    checks_default(checks);
    for (size_t i = 0; i < N_CHECKS; i++)
        checks[i].stale_s = stale_s((enum check_id)i, checks[i].group, config);
    for (unsigned i = 0; i < config->checks_count; i++) {
        const struct health_check *row = &config->checks[i];
        struct check *c = find(checks, row->name);

        if (!c)
            return err_set(err, ST_RANGE,
                           "there is no check '%s'; config/health_monitor.yaml lists those that "
                           "are",
                           row->name);
        take(&c->warning, row->warning);
        take(&c->critical, row->critical);
        take(&c->for_s, row->for_s);
        take(&c->clear_s, row->clear_s);
        if (row->action != HEALTH_ACTION_DEFAULT)
            c->action = (enum health_action)row->action;
        c->is_off = row->is_off;
        if (c->sense == BAD_ABOVE ? c->critical < c->warning : c->critical > c->warning)
            return err_set(err, ST_RANGE,
                           "check '%s': it is critical (%g) before it is a warning (%g)", c->name,
                           c->critical, c->warning);
    }
    return ST_OK;
}

const char *check_group_word(enum check_group group)
{
    static const char *const words[] = { "nodes", "services", "network", "resources" };

    return words[group];
}
