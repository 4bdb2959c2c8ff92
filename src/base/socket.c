/* SPDX-License-Identifier: Apache-2.0 */
/* base/socket.c - a connection that notices when its link is cut. */
#include "base/socket.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#if defined(__linux__)
#include <linux/tcp.h> /* with the fields of struct tcp_info that the C library's lacks */
#else
#include <netinet/tcp.h>
#endif

#include "base/clock.h"

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
    /* Lost bytes of a thin stream are sent again every 200 ms, not at doubled times: nine tries
     * before two seconds are over.  Source: Linux, Documentation/networking/tcp-thin.rst */
    set(fd, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1);
#elif defined(TCP_RXT_CONNDROPTIME)
    set(fd, IPPROTO_TCP, TCP_RXT_CONNDROPTIME, LINK_DEAD_S);
#endif
}

#if defined(__linux__)
/* Something is to be acknowledged: it was sent, or would have been, had the system a way to the
 * other machine.  Where that machine has no room for more, its silence says nothing: it is
 * asked for room at longer and longer times (RFC 9293, section 3.8.6.1). */
static bool is_waiting(const struct tcp_info *info)
{
    return info->tcpi_unacked > 0 ||
           (info->tcpi_notsent_bytes > 0 && info->tcpi_snd_wnd >= info->tcpi_snd_mss);
}

uint64_t link_silent_ms(struct link_watch *watch, int fd, uint64_t now_ns)
{
    struct tcp_info info = { 0 };
    socklen_t n = sizeof(info);
    uint64_t waiting_ms;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 || !is_waiting(&info)) {
        watch->waiting_since_ns = 0;
        return 0;
    }
    if (watch->waiting_since_ns == 0)
        watch->waiting_since_ns = now_ns;
    waiting_ms = (now_ns - watch->waiting_since_ns) / NS_PER_MS;
    return waiting_ms < info.tcpi_last_ack_recv ? waiting_ms : info.tcpi_last_ack_recv;
}
#else
uint64_t link_silent_ms(struct link_watch *watch, int fd, uint64_t now_ns)
{
    (void)watch;
    (void)fd;
    (void)now_ns;
    return 0;
}
#endif
