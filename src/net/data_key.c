/* SPDX-License-Identifier: Apache-2.0 */
/* net/data_key.c - the key of one instance's data connections. */
#include "net/data_key.h"

#include "base/hex.h"

enum status data_key_of_cluster(const struct cluster_key *key, const char *cluster_name,
                                struct cluster_key *ret_key, struct err *err)
{
    return cluster_key_derive(key, "data", cluster_name, ret_key->bytes, sizeof(ret_key->bytes),
                              err);
}

enum status data_key_of_instance(const struct cluster_key *data_key, const uint8_t *instance_key,
                                 struct cluster_key *ret_key, struct err *err)
{
    char instance[2 * INSTANCE_KEY_BYTES + 1];
    enum status s;

    hex_write(instance_key, INSTANCE_KEY_BYTES, instance);
    s = cluster_key_derive(data_key, "instance", instance, ret_key->bytes, sizeof(ret_key->bytes),
                           err);
    cluster_key_wipe(instance, sizeof(instance));
    return s;
}
