/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/line.c - wait for a line with the signal's arrival in view. */
#include "cmd/line.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

/* The signal flag, and who is to be woken by it. */
static volatile sig_atomic_t interrupts;
static pthread_t main_thread;

/* pthread_self() and pthread_kill() may be called here: POSIX.1-2017, 2.4.3. */
static void on_interrupt(int signal_number)
{
    if (pthread_equal(pthread_self(), main_thread))
        interrupts++;
    else
        (void)pthread_kill(main_thread, signal_number);
}

volatile sig_atomic_t *line_interrupts(void)
{
    return &interrupts;
}

void line_catch_interrupts(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };

    main_thread = pthread_self();
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
}

/* True when standard input can be read; false for an interrupt. */
static bool wait_for_input(void)
{
    sigset_t interrupt, before;
    fd_set readable;
    bool is_ready;

    (void)sigemptyset(&interrupt);
    (void)sigaddset(&interrupt, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &interrupt, &before);
    FD_ZERO(&readable);
    FD_SET(STDIN_FILENO, &readable);
    /* Another signal's EINTR is an ordinary wait begun anew by the caller. */
    is_ready =
        interrupts == 0 && pselect(STDIN_FILENO + 1, &readable, NULL, NULL, NULL, &before) > 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_ready;
}

/* Give out what ends with '\n', or everything there is when it must be given out. */
static bool take(struct line_reader *reader, bool takes_rest, const char **ret_line)
{
    char *end = memchr(reader->bytes, '\n', reader->n);

    if (!end && !takes_rest)
        return false;
    reader->n_given = end ? (size_t)(end - reader->bytes) + 1 : reader->n;
    if (!end)
        end = reader->bytes + reader->n;
    else if (end > reader->bytes && end[-1] == '\r')
        end--;
    *end = '\0';
    *ret_line = reader->bytes;
    return true;
}

static void drop_given(struct line_reader *reader)
{
    reader->n -= reader->n_given;
    memmove(reader->bytes, reader->bytes + reader->n_given, reader->n);
    reader->n_given = 0;
}

enum line_outcome line_read(struct line_reader *reader, const char **ret_line)
{
    drop_given(reader);
    for (;;) {
        ssize_t n;

        if (take(reader, reader->n == LINE_MAX_BYTES, ret_line))
            return LINE_READ;
        if (!wait_for_input()) {
            if (interrupts > 0)
                return LINE_INTERRUPTED;
            continue;
        }
        n = read(STDIN_FILENO, reader->bytes + reader->n, LINE_MAX_BYTES - reader->n);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return reader->n > 0 && take(reader, true, ret_line) ? LINE_READ : LINE_ENDED;
        reader->n += (size_t)n;
    }
}
