/* SPDX-License-Identifier: Apache-2.0 */
/* contract/route.h - which running instance answers a request: stage 2 to stages 3-5. */
#ifndef POMONA_CONTRACT_ROUTE_H
#define POMONA_CONTRACT_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "contract/plan.h"

enum {
    INSTANCE_ID_MAX = 33, /* 32 hexadecimal digits and NUL */
    HOST_MAX = 256,
    INSTANCE_KEY_BYTES = 16,
    DATA_KEY_BYTES = 32,
};

/* Where the driver of an instance takes requests. */
struct driver_address {
    char host[HOST_MAX];
    uint16_t port;
    struct hosts hosts;              /* ways from here, in the order to try them; none: `host` */
    uint8_t key[INSTANCE_KEY_BYTES]; /* shown on connecting; known to the cluster's nodes only */
    bool is_secured;                 /* by TLS with data_key; else in clear, on loopback */
    uint8_t data_key[DATA_KEY_BYTES];
};

/* One instance as balance/ sees it: a copy, made by flow/ from cluster/. */
struct instance_view {
    char id[INSTANCE_ID_MAX];
    char model[MODEL_NAME_MAX];
    bool is_ready;
    uint32_t n_active; /* sequences running, as last reported */
    uint32_t n_waiting;
    struct driver_address driver;
};

struct route {
    bool is_placed; /* false: no instance yet, stages 3 and 4 make one */
    char instance_id[INSTANCE_ID_MAX];
    struct driver_address driver;
};

#endif
