/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_daemon.c - registering and browsing; a daemon that is not there. */
#include <arpa/inet.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/discovery/mdns_priv.h"

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct mdns_ref *ref = arg;

    (void)fd;
    (void)what;
    if (DNSServiceProcessResult(ref->handle) != kDNSServiceErr_NoError) {
        (void)event_del(ref->readable); /* it would be readable again at once */
        ref->is_broken = true;
    }
    mdns_run(ref->mdns);
}

enum status mdns_ref_watch(struct mdns *m, DNSServiceRef handle, struct mdns_ref *ref)
{
    *ref = (struct mdns_ref){ .mdns = m, .handle = handle };
    ref->readable = event_new(loop_base(m->loop), DNSServiceRefSockFD(handle), EV_READ | EV_PERSIST,
                              on_readable, ref);
    if (ref->readable && event_add(ref->readable, NULL) == 0)
        return ST_OK;
    mdns_ref_close(ref);
    return ST_NOMEM;
}

void mdns_ref_close(struct mdns_ref *ref)
{
    if (ref->readable)
        event_free(ref->readable);
    if (ref->handle)
        DNSServiceRefDeallocate(ref->handle);
    *ref = (struct mdns_ref){ 0 };
}

static void DNSSD_API on_registered(DNSServiceRef handle, DNSServiceFlags flags,
                                    DNSServiceErrorType error, const char *name, const char *type,
                                    const char *domain, void *arg)
{
    struct mdns *m = arg;

    (void)handle;
    (void)flags;
    (void)name;
    (void)type;
    (void)domain;
    if (error != kDNSServiceErr_NoError) {
        m->is_lost = true;
        return;
    }
    m->backoff_ms = RETRY_FIRST_MS;
    if (m->said_lost)
        log_info("the mDNS daemon is here: peers are found by mDNS too");
    m->said_lost = false;
}

static void DNSSD_API on_browsed(DNSServiceRef handle, DNSServiceFlags flags, uint32_t interface,
                                 DNSServiceErrorType error, const char *name, const char *type,
                                 const char *domain, void *arg)
{
    struct mdns *m = arg;

    (void)handle;
    (void)type;
    (void)domain;
    if (error != kDNSServiceErr_NoError || !name)
        m->is_lost = true;
    else if (flags & kDNSServiceFlagsAdd)
        lookup_add(m, interface, name);
    else
        lookup_remove(m, interface, name);
}

static enum status daemon_begin(struct mdns *m)
{
    DNSServiceRef handle = NULL;

    if (DNSServiceRegister(&handle, 0, kDNSServiceInterfaceIndexAny, m->record.name, MDNS_TYPE,
                           NULL, NULL, htons(m->port), (uint16_t)m->record.n_text, m->record.text,
                           on_registered, m) != kDNSServiceErr_NoError)
        return ST_PEER;
    if (mdns_ref_watch(m, handle, &m->registration) != ST_OK)
        return ST_NOMEM;
    if (DNSServiceBrowse(&handle, 0, kDNSServiceInterfaceIndexAny, MDNS_TYPE, MDNS_DOMAIN,
                         on_browsed, m) != kDNSServiceErr_NoError)
        return ST_PEER;
    return mdns_ref_watch(m, handle, &m->browser);
}

void mdns_daemon_close(struct mdns *m)
{
    lookups_close(m);
    mdns_ref_close(&m->browser);
    mdns_ref_close(&m->registration);
    m->is_lost = false;
}

/* Said once, however often it is tried: many machines have no such daemon. */
static void daemon_lost(struct mdns *m)
{
    mdns_daemon_close(m);
    m->retry_ns = deadline_after_ms(m->backoff_ms);
    m->backoff_ms *= 2;
    if (m->backoff_ms > RETRY_LAST_MS)
        m->backoff_ms = RETRY_LAST_MS;
    if (!m->said_lost)
        log_info("no mDNS daemon answers (Bonjour, or avahi-daemon and D-Bus): peers are not found "
                 "by mDNS until one does");
    m->said_lost = true;
}

void mdns_run(struct mdns *m)
{
    const uint64_t now_ns = clock_ns();

    if (!m->browser.handle && now_ns >= m->retry_ns && daemon_begin(m) != ST_OK)
        daemon_lost(m);
    if (m->is_lost || m->registration.is_broken || m->browser.is_broken)
        daemon_lost(m);
    if (m->browser.handle)
        lookups_run(m, now_ns);
}
