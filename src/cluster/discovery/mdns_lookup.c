/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_lookup.c - from the name of an instance to its addresses. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "cluster/discovery/mdns_priv.h"

static struct lookup *lookup_find(struct mdns *m, uint32_t interface, const char *name)
{
    for (size_t i = 0; i < INSTANCES_SEEN_MAX; i++) {
        struct lookup *l = &m->lookups[i];

        if (l->is_used && l->interface == interface && strcmp(l->name, name) == 0)
            return l;
    }
    return NULL;
}

static bool is_running(const struct lookup *l)
{
    return l->is_used && (l->state == LOOKUP_RESOLVING || l->state == LOOKUP_ASKING);
}

static void lookup_end(struct lookup *l, enum lookup_state state, uint64_t again_ms)
{
    mdns_ref_close(&l->refs[0]);
    mdns_ref_close(&l->refs[1]);
    l->state = state;
    l->next_ns = deadline_after_ms(again_ms);
}

/* Ours are never pushed out; what floods the link makes room for what comes after it. */
static struct lookup *lookup_room(struct mdns *m)
{
    struct lookup *room = NULL;

    for (size_t i = 0; i < INSTANCES_SEEN_MAX; i++) {
        struct lookup *l = &m->lookups[i];

        if (!l->is_used)
            return l;
        if (l->state == LOOKUP_FOREIGN || (!room && l->state == LOOKUP_WAITING))
            room = l;
    }
    return room;
}

void lookup_add(struct mdns *m, uint32_t interface, const char *name)
{
    const size_t n = strlen(name);
    struct lookup *l = lookup_find(m, interface, name);

    if (l || n >= INSTANCE_NAME_MAX || interface == kDNSServiceInterfaceIndexLocalOnly)
        return;
    l = lookup_room(m);
    if (!l)
        return;
    *l = (struct lookup){ .is_used = true, .mdns = m, .interface = interface };
    memcpy(l->name, name, n + 1);
}

/* Also called while the library is in a callback, of another handle than those closed here. */
void lookup_remove(struct mdns *m, uint32_t interface, const char *name)
{
    struct lookup *l = lookup_find(m, interface, name);

    if (!l)
        return;
    lookup_end(l, LOOKUP_WAITING, 0);
    l->is_used = false;
}

static void DNSSD_API on_resolved(DNSServiceRef handle, DNSServiceFlags flags, uint32_t interface,
                                  DNSServiceErrorType error, const char *full_name,
                                  const char *target, uint16_t port, uint16_t n_text,
                                  const unsigned char *text, void *arg)
{
    struct lookup *l = arg;
    struct err why = { 0 };

    (void)handle;
    (void)flags;
    (void)interface;
    (void)full_name;
    (void)port; /* the record's own is sealed */
    if (error != kDNSServiceErr_NoError || !target || strlen(target) >= sizeof(l->target) ||
        l->has_answer)
        return;
    l->has_answer = true;
    memcpy(l->target, target, strlen(target) + 1);
    l->is_ours = mdns_record_read(l->mdns->key, l->name, text, n_text, &l->peer, &why) == ST_OK &&
                 strcmp(l->peer.id, l->mdns->id) != 0;
    if (!l->is_ours && why.status != ST_OK)
        log_debug("'%s' is left out: %s", l->name, why.words);
}

static void DNSSD_API on_address(DNSServiceRef handle, DNSServiceFlags flags, uint32_t interface,
                                 DNSServiceErrorType error, const char *full_name, uint16_t type,
                                 uint16_t class, uint16_t n, const void *data, uint32_t ttl,
                                 void *arg)
{
    struct lookup *l = arg;
    char address[INET6_ADDRSTRLEN], device[IF_NAMESIZE];
    struct in6_addr v6;
    char *text;

    (void)handle;
    (void)full_name;
    (void)class;
    (void)ttl;
    if (error != kDNSServiceErr_NoError || !(flags & kDNSServiceFlagsAdd) ||
        l->n_addresses == ADDRESSES_MAX)
        return;
    text = l->addresses[l->n_addresses];
    if (type == kDNSServiceType_A && n == sizeof(struct in_addr)) {
        (void)inet_ntop(AF_INET, data, text, ADDRESS_TEXT_MAX);
    } else if (type == kDNSServiceType_AAAA && n == sizeof(v6)) {
        memcpy(&v6, data, sizeof(v6));
        (void)inet_ntop(AF_INET6, &v6, address, sizeof(address));
        if (!IN6_IS_ADDR_LINKLOCAL(&v6))
            (void)snprintf(text, ADDRESS_TEXT_MAX, "%s", address);
        else if (if_indextoname(interface, device))
            (void)snprintf(text, ADDRESS_TEXT_MAX, "%s%%%s", address, device);
        else
            return;
    } else {
        return;
    }
    l->n_addresses++;
    mdns_report(l->mdns, text, &l->peer);
}

static void resolve(struct lookup *l)
{
    DNSServiceRef handle = NULL;

    l->has_answer = false;
    lookup_end(l, LOOKUP_RESOLVING, RESOLVE_WITHIN_MS);
    if (DNSServiceResolve(&handle, 0, l->interface, l->name, MDNS_TYPE, MDNS_DOMAIN, on_resolved,
                          l) != kDNSServiceErr_NoError ||
        mdns_ref_watch(l->mdns, handle, &l->refs[0]) != ST_OK)
        lookup_end(l, LOOKUP_WAITING, RESOLVE_AGAIN_MS);
}

/* A machine may have addresses of one family only: either alone is enough. */
static void ask(struct lookup *l)
{
    static const uint16_t types[] = { kDNSServiceType_A, kDNSServiceType_AAAA };

    lookup_end(l, LOOKUP_ASKING, ADDRESSES_WITHIN_MS);
    l->n_addresses = 0;
    l->report_ns = deadline_after_ms(MDNS_REPORT_EVERY_MS);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        DNSServiceRef handle = NULL;

        if (DNSServiceQueryRecord(&handle, 0, l->interface, l->target, types[i],
                                  kDNSServiceClass_IN, on_address, l) == kDNSServiceErr_NoError)
            (void)mdns_ref_watch(l->mdns, handle, &l->refs[i]);
    }
}

static void advance(struct lookup *l, uint64_t now_ns)
{
    if (l->state == LOOKUP_RESOLVING && l->has_answer && l->is_ours)
        ask(l);
    else if (l->state == LOOKUP_RESOLVING && l->has_answer)
        lookup_end(l, LOOKUP_FOREIGN, FOREIGN_AGAIN_MS);
    else if (l->state == LOOKUP_RESOLVING && now_ns >= l->next_ns)
        lookup_end(l, LOOKUP_WAITING, RESOLVE_AGAIN_MS);
    else if (l->state == LOOKUP_ASKING && now_ns >= l->next_ns && l->n_addresses > 0)
        lookup_end(l, LOOKUP_KNOWN, MDNS_LOOK_AGAIN_MS);
    else if (l->state == LOOKUP_ASKING && now_ns >= l->next_ns)
        lookup_end(l, LOOKUP_WAITING, RESOLVE_AGAIN_MS);
}

static void report_again(struct lookup *l, uint64_t now_ns)
{
    if (now_ns < l->report_ns)
        return;
    l->report_ns = now_ns + MDNS_REPORT_EVERY_MS * NS_PER_MS;
    for (size_t i = 0; i < l->n_addresses; i++)
        mdns_report(l->mdns, l->addresses[i], &l->peer);
}

void lookups_run(struct mdns *m, uint64_t now_ns)
{
    size_t n_running = 0;

    for (size_t i = 0; i < INSTANCES_SEEN_MAX; i++) {
        if (is_running(&m->lookups[i]))
            advance(&m->lookups[i], now_ns);
        n_running += is_running(&m->lookups[i]);
    }
    for (size_t i = 0; i < INSTANCES_SEEN_MAX; i++)
        if (m->lookups[i].is_used && m->lookups[i].state == LOOKUP_KNOWN)
            report_again(&m->lookups[i], now_ns);
    /* in turn: however many there are, each is looked up */
    for (size_t i = 0; i < INSTANCES_SEEN_MAX && n_running < LOOKUPS_MAX; i++) {
        struct lookup *l = &m->lookups[m->turn];

        m->turn = (m->turn + 1) % INSTANCES_SEEN_MAX;
        if (l->is_used && !is_running(l) && now_ns >= l->next_ns) {
            resolve(l);
            n_running += is_running(l);
        }
    }
}

void lookups_close(struct mdns *m)
{
    for (size_t i = 0; i < INSTANCES_SEEN_MAX; i++) {
        if (m->lookups[i].is_used)
            lookup_end(&m->lookups[i], LOOKUP_WAITING, 0);
        m->lookups[i].is_used = false;
    }
}
