/* SPDX-License-Identifier: Apache-2.0 */
/* execute/client.h - the gateway's end of an instance: sends generations, receives tokens.
 *
 * One connection for each instance a gateway uses, shared by its requests.
 * When the connection or the instance breaks, every open generation gets its
 * failure once, and the client is dead: is_broken(); make another.
 *
 * While tokens are waited for, something is sent every CLIENT_PING_MS that the driver's
 * machine has to acknowledge.  Where it does not for CLIENT_SILENT_MS, the link to it is cut, or
 * it is off: is_unreachable().  A driver that only computes for long is neither, nor is one
 * that is stopped, which is its node's to notice.
 *
 * Threads  the loop's
 */
#ifndef POMONA_EXECUTE_CLIENT_H
#define POMONA_EXECUTE_CLIENT_H

#include <stdbool.h>

#include "contract/route.h"
#include "contract/token_stream.h"
#include "net/loop.h"

struct client;

enum { CLIENT_PING_MS = 500, CLIENT_SILENT_MS = 2000, CLIENT_CONNECT_MS = 2000 };

/* Starts connecting; generations may be sent at once and wait for it.
 * Errors  ST_NOMEM, ST_RANGE (not an address) */
enum status client_new(struct loop *loop, const struct driver_address *driver,
                       struct client **ret_client, struct err *err);

/* The same over a connected socket that leads to the driver; it is taken, also on error.  With
 * TLS alone: the way there is not this gateway's. */
enum status client_new_over(struct loop *loop, const struct driver_address *driver, int fd,
                            struct client **ret_client, struct err *err);
void client_free(struct client *client); /* open generations are dropped without a call */

/* fn follows on the loop, never inside this call.
 * ret_id  for client_cancel(); never 0
 * Errors  ST_PEER the client is broken; ST_NOMEM */
enum status client_generate(struct client *client, const struct generation *generation,
                            uint32_t sequence, token_stream_fn *fn, void *arg, uint64_t *ret_id,
                            struct err *err);

/* The driver is told at once; fn is not called again.  Unknown ids are ignored. */
void client_cancel(struct client *client, uint64_t id);

/* End every open generation with `why`: the cluster knows that the instance
 * is lost before the connection does.  The client is broken afterwards. */
void client_fail(struct client *client, const struct err *why);

bool client_is_broken(const struct client *client);
/* It broke because the driver's machine does not answer, or could not be connected to at any of its
 * addresses.  False where one fell silent and others are left: call again. */
bool client_is_unreachable(const struct client *client);
size_t client_n_open(const struct client *client);

#endif
