/* SPDX-License-Identifier: Apache-2.0 */
/* base/socket.c - a connection that notices when its link is cut. */
#include "base/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* What the systems call the seconds of silence before the first probe. */
#if defined(TCP_KEEPIDLE)
enum { OPTION_IDLE = TCP_KEEPIDLE };
#else
enum { OPTION_IDLE = TCP_KEEPALIVE };
#endif

static void set(int fd, int level, int option, int value)
{
    (void)setsockopt(fd, level, option, &value, sizeof(value));
}

void socket_watch_link(int fd)
{
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, OPTION_IDLE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, LINK_DEAD_S - 1);
#if defined(TCP_USER_TIMEOUT)
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, LINK_DEAD_S * 1000);
#elif defined(TCP_RXT_CONNDROPTIME)
    set(fd, IPPROTO_TCP, TCP_RXT_CONNDROPTIME, LINK_DEAD_S);
#endif
}
