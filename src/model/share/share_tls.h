/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/share_tls.h - TLS between who gives pieces of models and who fetches them. */
#ifndef POMONA_MODEL_SHARE_SHARE_TLS_H
#define POMONA_MODEL_SHARE_SHARE_TLS_H

#include <string.h>

#include "net/tls.h"

/* bytes  [CLUSTER_KEY_BYTES] */
static inline enum status share_tls_new(const uint8_t *bytes, struct tls **ret_tls, struct err *err)
{
    struct cluster_key key;
    enum status s;

    memcpy(key.bytes, bytes, sizeof(key.bytes));
    s = tls_new(&key, TLS_SHARE, ret_tls, err);
    cluster_key_wipe(&key, sizeof(key));
    return s;
}

#endif
