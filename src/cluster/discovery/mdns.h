/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns.h - nodes find each other by mDNS and DNS-SD (RFC 6762, RFC 6763).
 *
 * A node registers `_pomona._tcp` with the machine's own daemon (Bonjour on
 * macOS, Avahi on Linux) through dns_sd.h, browses for the others', and looks
 * up the addresses of those whose TXT record its cluster's key opens
 * (mdns_record.h).  The daemon follows interfaces that come and go, and
 * withdraws the record of a node whose process ends.
 *
 *   asking the daemon --it answers--> advertised --it ends or restarts--\
 *        ^    \-- none there --> waiting, RETRY_FIRST_MS to RETRY_LAST_MS <--/
 *        \----------------------------/
 *
 * What is found is told again every MDNS_REPORT_EVERY_MS while its record stands,
 * as beacons are; so what is withdrawn is soon forgotten (candidates.h).
 * How many instances, addresses and lookups there may be is bounded: beyond
 * that, records that are not of this cluster make room for others.
 *
 * Threads  Every call of dns_sd.h may wait for the daemon; Avahi's library for as long as
 *          D-Bus lets it, 25 s.  So all of them are made on one thread with a loop of
 *          its own; on_found is called on the loop that mdns_open() was given.
 */
#ifndef POMONA_CLUSTER_DISCOVERY_MDNS_H
#define POMONA_CLUSTER_DISCOVERY_MDNS_H

#include <stdbool.h>

#include "cluster/discovery/beacon.h"

enum { MDNS_REPORT_EVERY_MS = 10000, MDNS_LOOK_AGAIN_MS = 60000 };

struct mdns;

/* Was this program built with mDNS? */
bool mdns_is_built(void);

/* options  as the beacon's; udp_port is not used
 * Errors   ST_UNSUPPORTED  not in this build; ST_NOMEM; ST_RANGE as mdns_record_write().
 *          A daemon that is missing is none: it is waited for. */
enum status mdns_open(struct loop *loop, const struct beacon_options *options, found_fn *on_found,
                      void *arg, struct mdns **ret_mdns, struct err *err);

/* Withdraws this node.  Waits for a daemon that does not answer for CLOSE_WITHIN_MS, then leaves
 * the thread to itself.  NULL is allowed. */
void mdns_close(struct mdns *mdns);

#endif
