/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_library.c - what the system's dns_sd.h needs before its first use.
 *
 * Bonjour needs nothing.  Avahi's compatibility library (0.8; repaired in its
 * repository since) does not clear the object behind a DNSServiceRef: when the
 * daemon ends, generic_client_callback() of avahi-compat-libdns_sd/compat.c asks
 * a resolving or querying one for its browser's callback and calls whatever the
 * memory held before.  Memory that is always cleared has NULL there.
 */
#include "cluster/discovery/mdns_priv.h"

#if defined(__APPLE__)

void mdns_library_prepare(void)
{
}

#else

#include <avahi-common/malloc.h>
#include <stdlib.h>

static void *malloc_cleared(size_t n)
{
    return calloc(1, n);
}

static const struct AvahiAllocator clearing = {
    .malloc = malloc_cleared,
    .free = free,
    .realloc = realloc,
    .calloc = calloc,
};

static void prepare(void)
{
    avahi_set_allocator(&clearing);
    /* it asks every user, at every start, to ask programmers for another library */
    (void)setenv("AVAHI_COMPAT_NOWARN", "1", 0);
}

void mdns_library_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare);
}

#endif
