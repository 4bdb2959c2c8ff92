/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_journal.c - lines to systemd's journal.
 *
 * The socket is made at the first line and kept.  It is not connected: a journal that was started
 * anew listens at the same path.
 */
#include "base/log_journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct sockaddr_un journal = { .sun_family = AF_UNIX,
                                            .sun_path = "/run/systemd/journal/socket" };

static _Atomic int journal_fd = -1;

bool log_journal_is_stderr(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char here[64];
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) != 0)
        return false;
    (void)snprintf(here, sizeof(here), "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)st.st_dev,
                   (uintmax_t)st.st_ino);
    return strcmp(here, stream) == 0;
}

/* Of two threads that make one at a time, one keeps it. */
static int open_once(void)
{
    int none = -1, fd = atomic_load(&journal_fd);

    if (fd >= 0)
        return fd;
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0)
        return -1;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    if (atomic_compare_exchange_strong(&journal_fd, &none, fd))
        return fd;
    (void)close(fd);
    return none;
}

bool log_journal_send(const char *datagram, size_t n)
{
    const int fd = open_once();

    return fd >= 0 && sendto(fd, datagram, n, 0, (const struct sockaddr *)&journal,
                             sizeof(journal)) == (ssize_t)n;
}
