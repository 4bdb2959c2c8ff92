/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/hosts.h - under which names an open API may be asked.
 *
 * A page of any site can let its own name mean 127.0.0.1 after it was loaded; the browser then takes what answers
 * there for the site itself, and sends no Origin that would tell.  The name in Host tells: nobody else's name is
 * meant by who asks a node of his own machine.  Addresses are safe: no page has their origin but the node's.
 * Threads  any
 */
#ifndef POMONA_GATEWAY_GUARD_HOSTS_H
#define POMONA_GATEWAY_GUARD_HOSTS_H

#include <stdbool.h>

#include "config/api_gateway.h"

/* host  the header, "name[:port]"; NULL: there is none, so no browser asks
 * True: an address, localhost, a name of this machine, or one of the settings. */
bool host_may_be_asked(const char *host, const struct api_gateway *settings);

#endif
