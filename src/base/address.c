/* SPDX-License-Identifier: Apache-2.0 */
/* base/address.c - numeric addresses of stream sockets. */
#include "base/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum status address_parse(const char *host, uint16_t port, struct address *ret_address,
                          struct err *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct addrinfo *found = NULL;
    char service[8];
    int failed;

    snprintf(service, sizeof(service), "%u", port);
    failed = getaddrinfo(numeric, service, &hints, &found);
    if (failed)
        return err_set(err, ST_RANGE, "'%s' is not a numeric address: %s", host,
                       gai_strerror(failed));
    memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
    ret_address->length = found->ai_addrlen;
    freeaddrinfo(found);
    return ST_OK;
}

bool address_text(const struct sockaddr *address, socklen_t length, char *ret_host, size_t capacity)
{
    static const char mapped[] = "::ffff:"; /* RFC 4291, section 2.5.5.2 */
    char host[NI_MAXHOST] = "";
    const char *text = host;

    ret_host[0] = '\0';
    if ((address->sa_family != AF_INET && address->sa_family != AF_INET6) ||
        getnameinfo(address, length, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
        return false;
    if (strncmp(host, mapped, sizeof(mapped) - 1) == 0 && strchr(host, '.'))
        text += sizeof(mapped) - 1;
    (void)snprintf(ret_host, capacity, "%s", text);
    return true;
}

bool address_peer(int fd, char *ret_host, size_t capacity)
{
    struct sockaddr_storage there;
    socklen_t length = sizeof(there);

    ret_host[0] = '\0';
    return getpeername(fd, (struct sockaddr *)&there, &length) == 0 &&
           address_text((struct sockaddr *)&there, length, ret_host, capacity);
}

uint16_t address_port_of(int fd)
{
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);

    if (getsockname(fd, (struct sockaddr *)&bound, &length) != 0)
        return 0;
    if (bound.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
    return bound.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&bound)->sin_port) : 0;
}

bool host_is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

const char *address_any(void)
{
    const struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
    const int fd = socket(AF_INET6, SOCK_STREAM, 0);
    const bool has_v6 = fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0;

    if (fd >= 0)
        close(fd);
    return has_v6 ? "::" : "0.0.0.0";
}
