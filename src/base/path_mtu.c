/* SPDX-License-Identifier: Apache-2.0 */
/* base/path_mtu.c - how large a packet another machine takes in one piece. */
#include "base/path_mtu.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/tcp.h>
#else
#include <netinet/tcp.h>
#endif

enum {
    HEADERS_V4 = 20 + 20, /* IP and TCP without options: RFC 6691, section 2 */
    HEADERS_V6 = 40 + 20,
    TIMESTAMPS = 12, /* RFC 7323, appendix A */
    UDP_V4 = 20 + 8,
    UDP_V6 = 40 + 8,
    REFUSAL_MS = 30, /* until a router's answer is here */
    DATAGRAM_MAX_BYTES = 9000,
};

static int socket_to(const struct address *to, int type)
{
    const int fd = socket(to->storage.ss_family, type, 0);

    if (fd >= 0) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return fd;
}

static enum status await_connected(int fd, uint32_t timeout_ms, struct err *err)
{
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    int failed = ETIMEDOUT;
    socklen_t n = sizeof(failed);

    if (poll(&ready, 1, (int)timeout_ms) == 1)
        (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n);
    return failed ? err_set(err, ST_PEER, "nobody answers there: %s", strerror(failed)) : ST_OK;
}

/* As the two ends agree; 0: the system does not say. */
static uint32_t agreed(int fd, bool is_v6)
{
    const uint32_t headers = is_v6 ? HEADERS_V6 : HEADERS_V4;
#if defined(__linux__)
    struct tcp_info info = { 0 };
    socklen_t n = sizeof(info);
    uint32_t bytes;

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) != 0 || info.tcpi_snd_mss == 0)
        return 0;
    bytes = info.tcpi_snd_mss + headers +
            ((info.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0 ? TIMESTAMPS : 0);
    return info.tcpi_pmtu > 0 && info.tcpi_pmtu < bytes ? info.tcpi_pmtu : bytes;
#else
    int segment = 0;
    socklen_t n = sizeof(segment);

    if (getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, &n) != 0 || segment <= 0)
        return 0;
    return (uint32_t)segment + headers + TIMESTAMPS;
#endif
}

/* What the system thinks that the way carries, after a datagram of that size was sent which nobody may cut; 0: it
 * does not say. */
static uint32_t carried(const struct address *to, bool is_v6)
{
#if defined(IP_MTU_DISCOVER) && defined(IPV6_MTU_DISCOVER)
    static const char bytes[DATAGRAM_MAX_BYTES];
    const int level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
    const int whole = is_v6 ? IPV6_PMTUDISC_DO : IP_PMTUDISC_DO;
    const int fd = socket_to(to, SOCK_DGRAM);
    const int over = is_v6 ? UDP_V6 : UDP_V4;
    int mtu = 0;
    socklen_t n = sizeof(mtu);

    if (fd < 0)
        return 0;
    if (setsockopt(fd, level, is_v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &whole, sizeof(whole)) ==
            0 &&
        connect(fd, (const struct sockaddr *)&to->storage, to->length) == 0 &&
        getsockopt(fd, level, is_v6 ? IPV6_MTU : IP_MTU, &mtu, &n) == 0 && mtu > over) {
        const int most = DATAGRAM_MAX_BYTES + over;

        (void)send(fd, bytes, (size_t)((mtu < most ? mtu : most) - over), 0);
        (void)poll(NULL, 0, REFUSAL_MS);
        (void)getsockopt(fd, level, is_v6 ? IPV6_MTU : IP_MTU, &mtu, &n);
    }
    (void)close(fd);
    return mtu > 0 ? (uint32_t)mtu : 0;
#else
    (void)to;
    (void)is_v6;
    return 0;
#endif
}

enum status path_mtu(const struct address *to, uint32_t timeout_ms, uint32_t *ret_bytes,
                     struct err *err)
{
    const bool is_v6 = to->storage.ss_family == AF_INET6;
    const uint32_t datagram = carried(to, is_v6);
    const int fd = socket_to(to, SOCK_STREAM);
    uint32_t bytes = 0;
    enum status s = ST_OK;

    if (fd < 0)
        return err_errno(err, "a socket");
    if (connect(fd, (const struct sockaddr *)&to->storage, to->length) != 0)
        s = errno == EINPROGRESS
                ? await_connected(fd, timeout_ms, err)
                : err_set(err, ST_PEER, "nobody answers there: %s", strerror(errno));
    if (s == ST_OK)
        bytes = agreed(fd, is_v6);
    if (s == ST_OK && bytes == 0)
        s = err_set(err, ST_IO, "the system does not say how large packets may be");
    if (s == ST_OK)
        *ret_bytes = datagram > 0 && datagram < bytes ? datagram : bytes;
    (void)close(fd);
    return s;
}
