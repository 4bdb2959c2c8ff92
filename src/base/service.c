/* SPDX-License-Identifier: Apache-2.0 */
/* base/service.c - what the system's manager of services says of one. */
#include "base/service.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/launch.h"

enum { NAME_MAX_BYTES = 256, TEXT_MAX_BYTES = 64 << 10, PIECE_BYTES = 4096 };

/* The value of "key=" or "key = " at the beginning of a line into ret [n]; "": there is none. */
static void value_of(const char *text, const char *key, char *ret, size_t n)
{
    const size_t n_key = strlen(key);

    ret[0] = '\0';
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *at = line + strspn(line, " \t");

        if (strncmp(at, key, n_key) != 0)
            continue;
        (void)snprintf(ret, n, "%.*s", (int)strcspn(at + n_key, "\n"), at + n_key);
        return;
    }
}

void service_parse_systemctl(const char *text, struct service_state *ret)
{
    char load[32], active[32], sub[32], restarts[16];

    value_of(text, "LoadState=", load, sizeof(load));
    value_of(text, "ActiveState=", active, sizeof(active));
    value_of(text, "SubState=", sub, sizeof(sub));
    value_of(text, "NRestarts=", restarts, sizeof(restarts));
    *ret = (struct service_state){
        .is_known = load[0] && strcmp(load, "not-found") != 0,
        .is_active = strcmp(active, "active") == 0 || strcmp(active, "reloading") == 0,
    };
    if (ret->is_known)
        (void)snprintf(ret->words, sizeof(ret->words), "%s (%s), started anew %s times", active,
                       sub, restarts[0] ? restarts : "0");
    else
        (void)snprintf(ret->words, sizeof(ret->words), "there is no such service");
}

void service_parse_launchctl(const char *text, struct service_state *ret)
{
    char state[48];

    value_of(text, "state = ", state, sizeof(state));
    *ret = (struct service_state){ .is_known = state[0] != '\0',
                                   .is_active = strcmp(state, "running") == 0 };
    (void)snprintf(ret->words, sizeof(ret->words), "%s",
                   state[0] ? state : "there is no such service");
}

/* Until the other end is closed. */
static enum status read_all(int fd, uint64_t until_ns, struct buf *text, struct err *err)
{
    char piece[PIECE_BYTES];

    for (;;) {
        const uint64_t now_ns = clock_ns();
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (now_ns >= until_ns || text->len > TEXT_MAX_BYTES)
            return err_set(err, ST_DEADLINE, "the manager of services does not end its answer");
        if (poll(&ready, 1, (int)((until_ns - now_ns) / NS_PER_MS) + 1) <= 0)
            continue;
        n = read(fd, piece, sizeof(piece));
        if (n == 0)
            return buf_status(text) == ST_OK ? ST_OK : err_set(err, ST_NOMEM, "a service's state");
        if (n > 0)
            buf_append(text, piece, (size_t)n);
        else if (errno != EINTR)
            return err_errno(err, "what the manager of services says");
    }
}

static enum status run(const char *const *command, uint32_t timeout_ms, struct buf *text,
                       int *ret_exit, struct err *err)
{
    int ends[2], status = 0, failed;
    enum status s;
    pid_t pid;

    if (pipe(ends) != 0)
        return err_errno(err, "a pipe");
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    failed = launch_reading(command, ends[1], &pid);
    (void)close(ends[1]);
    if (failed) {
        (void)close(ends[0]);
        return err_set(err, ST_PEER, "'%s' could not be started: %s", command[0], strerror(failed));
    }
    s = read_all(ends[0], deadline_after_ms(timeout_ms), text, err);
    (void)close(ends[0]);
    if (s != ST_OK)
        (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    *ret_exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return s;
}

enum status service_state(const char *name, uint32_t timeout_ms, struct service_state *ret,
                          struct err *err)
{
    char what[NAME_MAX_BYTES];
    struct buf text = { 0 };
    int exit_status = 0;
    enum status s;
#if defined(__APPLE__)
    const char *end = strstr(name, ".service");
    const char *const command[] = { "launchctl", "print", what, NULL };

    (void)snprintf(what, sizeof(what), "system/%.*s", end ? (int)(end - name) : 200, name);
    s = run(command, timeout_ms, &text, &exit_status, err);
    if (s == ST_OK)
        service_parse_launchctl(buf_text(&text), ret);
#else
    const char *const command[] = {
        "systemctl", "show", "--property=LoadState,ActiveState,SubState,NRestarts", "--", what, NULL
    };

    (void)snprintf(what, sizeof(what), "%s", name);
    s = run(command, timeout_ms, &text, &exit_status, err);
    if (s == ST_OK && exit_status != 0)
        s = err_set(err, ST_PEER, "systemd does not answer");
    if (s == ST_OK)
        service_parse_systemctl(buf_text(&text), ret);
#endif
    buf_release(&text);
    return s;
}
