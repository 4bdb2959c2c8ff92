/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/manager.c - what the service manager is told of a process that has a loop. */
#include "cmd/manager.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/notify.h"

enum {
    SIGNS = 3,            /* within the time that is allowed; sd_watchdog_enabled(3) advises two */
    MORE_TIME_MS = 15000, /* for runners to end and memory to be given back */
};

struct manager {
    struct loop_timer *sign;
};

static void give_sign(void *arg)
{
    (void)arg;
    notify_send("WATCHDOG=1");
}

enum status manager_new(struct loop *loop, struct manager **ret_manager, struct err *err)
{
    struct manager *m = calloc(1, sizeof(*m));
    const uint64_t allowed_ms = notify_watchdog_ms();

    if (!m || loop_timer_new(loop, give_sign, m, &m->sign) != ST_OK) {
        free(m);
        return err_set(err, ST_NOMEM, "what tells the service manager");
    }
    if (allowed_ms > 0)
        loop_timer_every(m->sign, allowed_ms / SIGNS + 1);
    *ret_manager = m;
    return ST_OK;
}

void manager_free(struct manager *manager)
{
    if (!manager)
        return;
    loop_timer_free(manager->sign);
    free(manager);
}

void manager_ready(struct manager *manager, const char *words)
{
    (void)manager;
    notify_send("READY=1\nSTATUS=%s", words);
}

/* MONOTONIC_USEC is for the unit type notify-reload (systemd 253). */
void manager_reloading(struct manager *manager)
{
    (void)manager;
    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading its settings again",
                (unsigned long long)(clock_ns() / 1000));
}

void manager_stopping(struct manager *manager, uint64_t ms)
{
    (void)manager;
    notify_send("STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu\nSTATUS=running answers have %llu s",
                (unsigned long long)((ms + MORE_TIME_MS) * 1000), (unsigned long long)(ms / 1000));
}
