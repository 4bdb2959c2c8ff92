/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/interfaces.h - the network interfaces that are up now.
 *
 * Loopback is among them: nodes of one machine find each other too.
 *
 * Threads  any
 */
#ifndef POMONA_CLUSTER_DISCOVERY_INTERFACES_H
#define POMONA_CLUSTER_DISCOVERY_INTERFACES_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

enum { INTERFACES_MAX = 64 };

struct interface {
    char name[IF_NAMESIZE];
    unsigned index;
    bool is_loopback;
    bool has_v4, has_broadcast;
    bool has_v6;        /* an IPv6 address of any scope */
    bool has_global_v6; /* one that other machines can name */
    struct in_addr v4, broadcast;
    struct in6_addr v6; /* the first of those */
};

/* ret_interfaces [INTERFACES_MAX]; those beyond are left out.
 * Errors  ST_IO */
enum status interfaces_list(struct interface *ret_interfaces, size_t *ret_n, struct err *err);

#endif
