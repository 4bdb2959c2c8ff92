/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_none.c - a build without mDNS says so. */
#include "cluster/discovery/mdns.h"

bool mdns_is_built(void)
{
    return false;
}

enum status mdns_open(struct loop *loop, const struct beacon_options *options, found_fn *on_found,
                      void *arg, struct mdns **ret_mdns, struct err *err)
{
    (void)loop;
    (void)options;
    (void)on_found;
    (void)arg;
    (void)ret_mdns;
    return err_set(err, ST_UNSUPPORTED, "this build has no mDNS: dns_sd.h was not there");
}

void mdns_close(struct mdns *mdns)
{
    (void)mdns;
}
