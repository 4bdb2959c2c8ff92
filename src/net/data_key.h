/* SPDX-License-Identifier: Apache-2.0 */
/* net/data_key.h - the key of one instance's data connections.
 *
 *   cluster key --"data", cluster's name--> the cluster's data key
 *   the cluster's data key --"instance", the instance's own key--> the instance's data key
 *
 * Nodes keep the first, which opens nothing else; a runner is told the second alone, over its
 * control socket.  So a runner that is taken over, or one that an instance left behind,
 * knows nothing of other instances.
 *
 * Threads  any
 */
#ifndef POMONA_NET_DATA_KEY_H
#define POMONA_NET_DATA_KEY_H

#include "contract/route.h"
#include "net/cluster_key.h"

/* Errors  ST_RANGE, ST_NOMEM */
enum status data_key_of_cluster(const struct cluster_key *key, const char *cluster_name,
                                struct cluster_key *ret_key, struct err *err);

/* instance_key  [INSTANCE_KEY_BYTES]
 * Errors  ST_NOMEM */
enum status data_key_of_instance(const struct cluster_key *data_key, const uint8_t *instance_key,
                                 struct cluster_key *ret_key, struct err *err);

#endif
