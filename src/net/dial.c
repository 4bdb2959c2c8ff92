/* SPDX-License-Identifier: Apache-2.0 */
/* net/dial.c - a race of connections on an event loop. */
#include "net/dial.h"

#include <event2/event.h>
#include <stdlib.h>

#include "base/clock.h"

struct dial {
    struct loop *loop;
    struct race race;
    struct event *events[HOSTS_MAX]; /* of the sockets under way; NULL: none */
    struct event *due;               /* the next attempt */
    dial_fn *fn;
    void *arg;
};

/* Before their sockets are closed. */
static void forget_sockets(struct dial *d)
{
    for (size_t i = 0; i < HOSTS_MAX; i++) {
        if (d->events[i])
            event_free(d->events[i]);
        d->events[i] = NULL;
    }
}

static void on_turn(evutil_socket_t fd, short what, void *arg);

/* False: no memory. */
static bool wait_on(struct dial *d, uint64_t now_ns)
{
    struct pollfd fds[HOSTS_MAX];
    bool is_due;
    const size_t n = race_waits(&d->race, fds, &is_due);
    const uint64_t wait_us = d->race.next_ns > now_ns ? (d->race.next_ns - now_ns) / 1000 + 1 : 0;
    const struct timeval wait = { (time_t)(wait_us / 1000000), (suseconds_t)(wait_us % 1000000) };

    for (size_t i = 0; i < n; i++) {
        d->events[i] = event_new(loop_base(d->loop), fds[i].fd, EV_WRITE, on_turn, d);
        if (!d->events[i] || event_add(d->events[i], NULL) != 0)
            return false;
    }
    return !is_due || event_add(d->due, &wait) == 0;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    const uint64_t now_ns = clock_ns();
    struct dial *d = arg;
    int connected;

    (void)fd;
    (void)what;
    (void)event_del(d->due);
    forget_sockets(d);
    connected = race_turn(&d->race, now_ns);
    if (connected == RACE_RUNNING && wait_on(d, now_ns))
        return;
    forget_sockets(d);
    d->fn(d->arg, connected >= 0 ? connected : -1, d->race.failure, race_was_refused(&d->race));
}

enum status dial_new(struct loop *loop, const struct race *race, dial_fn *fn, void *arg,
                     struct dial **ret_dial, struct err *err)
{
    static const struct timeval now = { 0, 0 };
    struct dial *d = calloc(1, sizeof(*d));

    if (d) {
        d->loop = loop;
        d->race = *race;
        d->fn = fn;
        d->arg = arg;
        d->due = event_new(loop_base(loop), -1, 0, on_turn, d);
    }
    if (!d || !d->due || event_add(d->due, &now) != 0) {
        dial_free(d);
        return err_set(err, ST_NOMEM, "a connection");
    }
    *ret_dial = d;
    return ST_OK;
}

void dial_free(struct dial *d)
{
    if (!d)
        return;
    forget_sockets(d);
    if (d->due)
        event_free(d->due);
    race_end(&d->race);
    free(d);
}
