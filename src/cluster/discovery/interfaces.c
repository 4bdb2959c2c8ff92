/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/interfaces.c - the network interfaces that are up now. */
#include "cluster/discovery/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cluster/cluster.h"

static struct interface *entry_of(struct interface *list, size_t *n, const struct ifaddrs *a)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(list[i].name, a->ifa_name) == 0)
            return &list[i];
    if (*n == INTERFACES_MAX)
        return NULL;
    memset(&list[*n], 0, sizeof(*list));
    (void)snprintf(list[*n].name, sizeof(list[*n].name), "%s", a->ifa_name);
    list[*n].index = if_nametoindex(a->ifa_name);
    list[*n].is_loopback = (a->ifa_flags & IFF_LOOPBACK) != 0;
    return &list[(*n)++];
}

static void take_v4(struct interface *entry, const struct ifaddrs *a)
{
    if (entry->has_v4)
        return; /* the first address of an interface stands for it */
    entry->has_v4 = true;
    entry->v4 = ((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
    if ((a->ifa_flags & IFF_BROADCAST) && a->ifa_broadaddr) {
        entry->has_broadcast = true;
        entry->broadcast = ((const struct sockaddr_in *)(const void *)a->ifa_broadaddr)->sin_addr;
    }
}

/* Of the family; one that other machines can name: a link-local address needs an interface of
 * this one with it (RFC 4007, section 11). */
static const void *address_of(const struct ifaddrs *a, int family)
{
    const struct in6_addr *v6;

    if (!a->ifa_addr || a->ifa_addr->sa_family != family || !(a->ifa_flags & IFF_UP) ||
        (a->ifa_flags & IFF_LOOPBACK))
        return NULL;
    if (family == AF_INET)
        return &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
    v6 = &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;
    return IN6_IS_ADDR_LINKLOCAL(v6) ? NULL : v6;
}

static void take_v6(struct interface *entry, const struct ifaddrs *a)
{
    const struct in6_addr *global = address_of(a, AF_INET6);

    entry->has_v6 = true;
    if (!global || entry->has_global_v6)
        return;
    entry->has_global_v6 = true;
    entry->v6 = *global;
}

enum status interfaces_list(struct interface *ret_interfaces, size_t *ret_n, struct err *err)
{
    struct ifaddrs *all = NULL;
    size_t n = 0;

    if (getifaddrs(&all) != 0)
        return err_errno(err, "list the network interfaces");
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        struct interface *entry;

        if (!a->ifa_addr || !(a->ifa_flags & IFF_UP) ||
            (a->ifa_addr->sa_family != AF_INET && a->ifa_addr->sa_family != AF_INET6))
            continue;
        entry = entry_of(ret_interfaces, &n, a);
        if (entry && a->ifa_addr->sa_family == AF_INET)
            take_v4(entry, a);
        else if (entry)
            take_v6(entry, a);
    }
    freeifaddrs(all);
    *ret_n = n;
    return ST_OK;
}

void cluster_main_address(char *ret_host)
{
    static const int families[] = { AF_INET, AF_INET6 };
    struct ifaddrs *all = NULL;
    const void *found = NULL;

    (void)snprintf(ret_host, HOST_MAX, "127.0.0.1");
    if (getifaddrs(&all) != 0)
        return;
    for (size_t f = 0; f < 2 && !found; f++)
        for (const struct ifaddrs *a = all; a && !found; a = a->ifa_next) {
            found = address_of(a, families[f]);
            if (found)
                (void)inet_ntop(families[f], found, ret_host, HOST_MAX);
        }
    freeifaddrs(all);
}
