/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_priv.h - what the parts of mDNS share.
 *
 *   mdns.c         the thread, and what it tells the node's loop
 *   mdns_daemon.c  registering and browsing; a daemon that is not there
 *   mdns_library.c what the system's dns_sd.h needs before its first use
 *   mdns_lookup.c  from the name of an instance to its addresses
 *
 * A callback of dns_sd.h only writes down what it was told: handles are closed by
 * mdns_run(), after the library has returned.
 */
#ifndef POMONA_CLUSTER_DISCOVERY_MDNS_PRIV_H
#define POMONA_CLUSTER_DISCOVERY_MDNS_PRIV_H

#include <dns_sd.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "cluster/discovery/mdns.h"
#include "cluster/discovery/mdns_record.h"

#define MDNS_TYPE   "_pomona._tcp"
#define MDNS_DOMAIN "local."

enum {
    RETRY_FIRST_MS = 1000,
    RETRY_LAST_MS = 60000,
    CLOSE_WITHIN_MS = 1000,
    TICK_MS = 500,
    REPORTS_MAX = 64,          /* waiting for the node's loop; those beyond come again */
    INSTANCES_SEEN_MAX = 256,  /* each counted once per interface */
    INSTANCE_NAME_MAX = 64,    /* RFC 6763, section 4.1.1, and NUL */
    HOST_NAME_MAX_BYTES = 256, /* RFC 1035, section 2.3.4 */
    ADDRESSES_MAX = 8,         /* of one instance on one interface */
    LOOKUPS_MAX = 8,           /* at once; each holds up to two connections to the daemon */
    RESOLVE_WITHIN_MS = 2000,
    ADDRESSES_WITHIN_MS = 2000, /* nothing says that the last one came */
    RESOLVE_AGAIN_MS = 5000,    /* after one that failed */
    FOREIGN_AGAIN_MS = 300000,  /* a record that was not ours may have been forged */
    ADDRESS_TEXT_MAX = INET6_ADDRSTRLEN + IF_NAMESIZE + 1,
};

/* One question to the daemon; handle NULL: none. */
struct mdns_ref {
    struct mdns *mdns;
    DNSServiceRef handle;
    struct event *readable;
    bool is_broken;
};

/*   waiting --due, one of few--> resolving --record of ours--> asking for addresses --some came--> known
 *      ^                            |   \--of another cluster--> foreign                         |
 *      \---- no answer in time -----/                              \-----------due again---------/
 */
enum lookup_state { LOOKUP_WAITING, LOOKUP_RESOLVING, LOOKUP_ASKING, LOOKUP_KNOWN, LOOKUP_FOREIGN };

/* An instance that was browsed, on one interface. */
struct lookup {
    bool is_used;
    enum lookup_state state;
    struct mdns *mdns;
    uint32_t interface;
    char name[INSTANCE_NAME_MAX];
    uint64_t next_ns; /* the deadline of what runs, else when it is looked up again */
    uint64_t report_ns;
    struct mdns_ref refs[2];
    bool has_answer; /* while resolving: these three are its */
    bool is_ours;
    char target[HOST_NAME_MAX_BYTES];
    struct beacon_message peer;
    char addresses[ADDRESSES_MAX][ADDRESS_TEXT_MAX]; /* [n_addresses] */
    size_t n_addresses;
};

struct report {
    char host[ADDRESS_TEXT_MAX];
    struct beacon_message peer;
};

struct mdns {
    /* written before the thread starts */
    uint8_t key[MDNS_KEY_BYTES];
    struct mdns_record record;
    uint16_t port;
    char id[BEACON_ID_DIGITS + 1];
    found_fn *on_found;
    void *arg;
    struct loop *loop; /* the thread's */
    pthread_t thread;
    bool has_thread;

    /* of both threads, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_ended, is_abandoned;
    struct event *arrival; /* on the node's loop: reports wait */
    struct report reports[REPORTS_MAX];
    size_t n_reports;

    /* the thread's own */
    struct loop_timer *tick;
    struct mdns_ref registration, browser;
    bool is_lost; /* the daemon said so in a callback */
    bool said_lost;
    uint64_t retry_ns, backoff_ms;
    struct lookup lookups[INSTANCES_SEEN_MAX];
    size_t turn; /* whose it is to be looked up next */
};

/* Before every other call of dns_sd.h. */
void mdns_library_prepare(void);

/* Tell the node's loop that `peer` may be at `host`. */
void mdns_report(struct mdns *mdns, const char *host, const struct beacon_message *peer);

/* Whatever is due: after each callback and every TICK_MS. */
void mdns_run(struct mdns *mdns);

/* Watch a handle that a call of dns_sd.h returned; taken, also on error.  Errors: ST_NOMEM. */
enum status mdns_ref_watch(struct mdns *mdns, DNSServiceRef handle, struct mdns_ref *ref);
void mdns_ref_close(struct mdns_ref *ref); /* one that holds nothing is allowed */

void mdns_daemon_close(struct mdns *mdns);

void lookup_add(struct mdns *mdns, uint32_t interface, const char *name);
void lookup_remove(struct mdns *mdns, uint32_t interface, const char *name);
void lookups_run(struct mdns *mdns, uint64_t now_ns);
void lookups_close(struct mdns *mdns);

#endif
