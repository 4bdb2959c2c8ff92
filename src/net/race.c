/* SPDX-License-Identifier: Apache-2.0 */
/* net/race.c - a connection to the first of a machine's addresses that answers. */
#include "net/race.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum status race_begin(struct race *race, const char *host, const struct hosts *hosts,
                       uint16_t port, struct err *err)
{
    const bool is_one = !hosts || hosts->n == 0;
    const size_t n = is_one ? 1 : hosts->n;

    memset(race, 0, sizeof(*race));
    for (size_t i = 0; i < n; i++) {
        const enum status s =
            address_parse(is_one ? host : hosts->text[i], port, &race->addresses[i], err);

        if (s != ST_OK)
            return s;
    }
    race->n = n;
    return ST_OK;
}

void race_end(struct race *race)
{
    for (size_t i = 0; i < race->n_begun; i++)
        if (race->fds[i] >= 0)
            close(race->fds[i]);
    race->n = race->n_begun = 0;
}

static void attempt_failed(struct race *race, size_t i, int failure)
{
    if (race->fds[i] >= 0)
        close(race->fds[i]);
    race->fds[i] = -1;
    race->failure = failure;
    race->was_refused |= i == 0 && failure == ECONNREFUSED;
}

/* The others are closed. */
static int win(struct race *race, size_t i)
{
    const int fd = race->fds[i];

    race->fds[i] = -1;
    race_end(race);
    return fd;
}

/* Of those under way: the place of one that is connected, race->n where there is none. */
static size_t find_connected(struct race *race, uint64_t now_ns)
{
    for (size_t i = 0; i < race->n_begun; i++) {
        struct pollfd p = { .fd = race->fds[i], .events = POLLOUT };
        socklen_t length = sizeof(int);
        int failure = 0;

        if (p.fd < 0 || poll(&p, 1, 0) <= 0)
            continue;
        if (getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0)
            failure = errno;
        if (failure == 0)
            return i;
        attempt_failed(race, i, failure);
        race->next_ns = now_ns;
    }
    return race->n;
}

/* True: it is connected already. */
static bool attempt(struct race *race, size_t i)
{
    const struct address *to = &race->addresses[i];
    const int fd = socket(to->storage.ss_family, SOCK_STREAM, 0);
    const int flags = fd >= 0 ? fcntl(fd, F_GETFL) : -1;

    race->fds[i] = fd;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        attempt_failed(race, i, errno);
        return false;
    }
    if (connect(fd, (const struct sockaddr *)&to->storage, to->length) == 0)
        return true;
    if (errno != EINPROGRESS && errno != EINTR)
        attempt_failed(race, i, errno);
    return false;
}

int race_turn(struct race *race, uint64_t now_ns)
{
    const size_t connected = find_connected(race, now_ns);
    bool is_running = false;

    if (connected < race->n)
        return win(race, connected);
    while (race->n_begun < race->n && now_ns >= race->next_ns) {
        const size_t i = race->n_begun++;

        if (attempt(race, i))
            return win(race, i);
        if (race->fds[i] >= 0)
            race->next_ns = now_ns + RACE_STEP_MS * NS_PER_MS;
    }
    for (size_t i = 0; i < race->n_begun; i++)
        is_running |= race->fds[i] >= 0;
    return is_running || race->n_begun < race->n ? RACE_RUNNING : RACE_LOST;
}

size_t race_waits(const struct race *race, struct pollfd *ret_fds, bool *ret_is_due)
{
    size_t n = 0;

    for (size_t i = 0; i < race->n_begun; i++)
        if (race->fds[i] >= 0)
            ret_fds[n++] = (struct pollfd){ .fd = race->fds[i], .events = POLLOUT };
    *ret_is_due = race->n_begun < race->n;
    return n;
}

bool race_was_refused(const struct race *race)
{
    return race->was_refused;
}
