/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/child.c - start a program, read it to its end, or end it. */
#include "cmd/bench/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/launch.h"

enum { LOOK_MS = 100 }; /* a signal that comes just before a wait is seen after it */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

struct handlers {
    struct sigaction interrupt, terminate;
};

/* Without SA_RESTART: poll() is to return. */
static void handlers_set(struct handlers *ret_before)
{
    struct sigaction action = { .sa_handler = on_signal };

    interrupted = 0;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, &ret_before->interrupt);
    (void)sigaction(SIGTERM, &action, &ret_before->terminate);
}

static void handlers_restore(const struct handlers *before)
{
    (void)sigaction(SIGINT, &before->interrupt, NULL);
    (void)sigaction(SIGTERM, &before->terminate, NULL);
}

static enum status read_some(int fd, struct buf *output, bool *ret_is_end, struct err *err)
{
    char bytes[4096];
    const ssize_t n = read(fd, bytes, sizeof(bytes));

    if (n < 0 && errno == EINTR)
        return ST_OK;
    if (n < 0)
        return err_errno(err, "read its output");
    *ret_is_end = n == 0;
    buf_append(output, bytes, (size_t)n);
    if (output->len > CHILD_OUTPUT_MAX_BYTES)
        return err_set(err, ST_RANGE, "it prints more than %d MiB", CHILD_OUTPUT_MAX_BYTES >> 20);
    return buf_status(output);
}

/* Why to go on no longer. */
static enum status time_is_over(uint64_t deadline_ns, struct err *err)
{
    if (interrupted)
        return err_set(err, ST_CANCELED, "interrupted");
    if (clock_ns() >= deadline_ns)
        return err_set(err, ST_DEADLINE, "it did not end in time");
    return ST_OK;
}

static enum status read_all(int fd, uint64_t deadline_ns, struct buf *output, struct err *err)
{
    enum status s = ST_OK;
    bool is_end = false;

    while (s == ST_OK && !is_end) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        const int n = poll(&wait, 1, LOOK_MS);

        if (n < 0 && errno != EINTR)
            return err_errno(err, "wait for it");
        s = time_is_over(deadline_ns, err);
        if (s == ST_OK && n > 0)
            s = read_some(fd, output, &is_end, err);
    }
    return s;
}

static enum status judge(int status, struct err *err)
{
    if (WIFSIGNALED(status))
        return err_set(err, ST_IO, "it was ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        return err_set(err, ST_IO, "it ended with status %d", WEXITSTATUS(status));
    return ST_OK;
}

/* Wait for the child, whose output has ended unless `s` says why not; by force if it must be. */
static enum status reap(pid_t pid, uint64_t deadline_ns, enum status s, struct err *err)
{
    const struct timespec moment = { .tv_nsec = NS_PER_MS };
    int status = 0;

    while (s == ST_OK && waitpid(pid, &status, WNOHANG) != pid) {
        (void)nanosleep(&moment, NULL);
        s = time_is_over(deadline_ns, err);
    }
    if (s == ST_OK)
        return judge(status, err);
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return s;
}

enum status child_output(const char *const *argv, double timeout_s, struct buf *output,
                         struct err *err)
{
    const uint64_t deadline_ns = deadline_after_ms((uint64_t)(1000 * timeout_s));
    struct handlers before;
    enum status s = ST_OK;
    int ends[2], failed;
    pid_t pid;

    if (pipe(ends) != 0)
        return err_errno(err, "make a pipe");
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    handlers_set(&before);
    failed = launch_reading(argv, ends[1], &pid);
    (void)close(ends[1]);
    if (failed) {
        s = err_set(err, ST_IO, "it cannot be started: %s", strerror(failed));
    } else {
        s = read_all(ends[0], deadline_ns, output, err);
        s = reap(pid, deadline_ns, s, err);
    }
    handlers_restore(&before);
    (void)close(ends[0]);
    if (s != ST_OK)
        err_wrap(err, "%s", argv[0]);
    return s;
}
