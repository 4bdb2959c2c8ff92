/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/gateways.h - the connections of gateways to this driver.
 *
 *   accepted --TLS, ClientHello with the key--> greeted --close--> gone
 *          \--anything else, or HELLO_MS of silence--> gone
 *
 * One connection more than STRANGERS_MAX that are not greeted ends the oldest of them: whoever
 * opens many keeps no gateway out.
 *
 * Generations and cancels become orders.  A gateway that goes away cancels
 * all it asked for; one that does not read what it is sent is closed, and
 * nobody else notices.
 *
 * Threads  the loop's
 */
#ifndef POMONA_EXECUTE_RUNNER_GATEWAYS_H
#define POMONA_EXECUTE_RUNNER_GATEWAYS_H

#include "contract/route.h"
#include "execute/runner/batch.h"
#include "execute/runner/orders.h"
#include "net/tls.h"

enum {
    GATEWAYS_MAX = 256,
    STRANGERS_MAX = 64, /* of them, not greeted yet */
    HELLO_MS = 5000,
};

struct gateways;

struct gateways_options {
    const char *host;      /* numeric; the port is one the system picks */
    const uint8_t *key;    /* [INSTANCE_KEY_BYTES], copied */
    struct tls *tls;       /* borrowed, must outlive the gateways; NULL: in clear */
    struct orders *orders; /* borrowed, must outlive the gateways */
};

/* Listen.
 * Errors  ST_RANGE, ST_IO, ST_NOMEM */
enum status gateways_new(struct loop *loop, const struct gateways_options *options,
                         struct gateways **ret_gateways, struct err *err);
void gateways_free(struct gateways *gateways); /* NULL is allowed */
uint16_t gateways_port(const struct gateways *gateways);

/* The shard is loaded: generations are refused before, taken from now on. */
void gateways_open(struct gateways *gateways);

/* Send tokens to the gateway they are for, if it is still there. */
void gateways_send(struct gateways *gateways, const struct batch *batch);

/* Tell one gateway that its generation `id` failed. */
void gateways_refuse(struct gateways *gateways, uint64_t gateway, uint64_t id,
                     const struct err *why);

/* Tell every gateway that all failed, and close them once that was sent;
 * then call on_done, on the loop, never inside this call. */
void gateways_finish(struct gateways *gateways, const struct err *why, loop_fn *on_done, void *arg);

#endif
