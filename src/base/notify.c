/* SPDX-License-Identifier: Apache-2.0 */
/* base/notify.c - tell the service manager how this process is. */
#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/size.h"

/* A path, or a name of Linux' own, which "@" begins in the environment and a NUL in the address. */
static socklen_t address_of(const char *name, struct sockaddr_un *ret)
{
    const size_t n = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(ret->sun_path))
        return 0;
    *ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(ret->sun_path, name, n);
    if (name[0] == '@')
        ret->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void notify_send(const char *fmt, ...)
{
    const char *name = getenv("NOTIFY_SOCKET");
    char message[NOTIFY_MAX_BYTES];
    struct sockaddr_un to;
    const socklen_t n_to = name ? address_of(name, &to) : 0;
    va_list args;
    int n, fd;

    if (n_to == 0)
        return;
    va_start(args, fmt);
    n = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (n <= 0 || fd < 0) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)sendto(fd, message, size_min((size_t)n, sizeof(message) - 1), 0,
                 (const struct sockaddr *)&to, n_to);
    (void)close(fd);
}

/* A number above 0 that is all of `text`; else 0. */
static uint64_t number_of(const char *text)
{
    unsigned long long number;
    char *end;

    if (!text || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}

uint64_t notify_watchdog_ms(void)
{
    const char *whom = getenv("WATCHDOG_PID");

    if (whom && number_of(whom) != (uint64_t)getpid())
        return 0;
    return number_of(getenv("WATCHDOG_USEC")) / 1000;
}
