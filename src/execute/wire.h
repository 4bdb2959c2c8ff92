/* SPDX-License-Identifier: Apache-2.0 */
/* execute/wire.h - generations and tokens as messages between a gateway and a driver.
 *
 * Whatever comes from a connection is checked here, once, before it becomes
 * a struct the rest of execute/ trusts.
 */
#ifndef POMONA_EXECUTE_WIRE_H
#define POMONA_EXECUTE_WIRE_H

#include "base/status.h"
#include "contract/request.h"
#include "contract/runner.pb-c.h"
#include "contract/token_stream.h"

enum {
    CLIENT_PROTOCOL = 3,        /* 2: n_prior, Ping; 3: grammar */
    CLIENT_PROTOCOL_MIN = 3,    /* the oldest that is spoken, too: newer fields are left out */
    CLIENT_MAX_BYTES = 4 << 20, /* longest message: a prompt of 800 thousand tokens */
    CLIENT_MAX_QUEUED_BYTES = 16 << 20, /* unsent; more closes the connection */
    CLIENT_STOP_TOKENS_MAX = 4096,
};

/* Send `generation` as message Generate.  send is called once, with a message
 * that lives during the call.
 * Errors  ST_NOMEM */
typedef void wire_send_fn(void *arg, const ProtobufCMessage *message);
enum status wire_send_generation(const struct generation *generation, uint64_t id,
                                 uint32_t sequence, wire_send_fn *send, void *arg, struct err *err);

/* A checked copy of message Generate.  *ret_generation given: generation_free().
 * Errors  ST_RANGE a value no dialect would send; ST_NOMEM */
enum status generation_read(const Wire__Generate *message, struct generation **ret_generation,
                            struct err *err);
void generation_free(struct generation *generation); /* NULL is allowed */

#endif
