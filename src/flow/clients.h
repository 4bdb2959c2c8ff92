/* SPDX-License-Identifier: Apache-2.0 */
/* flow/clients.h - one connection to each instance in use.
 *
 * A connection stays while its instance lives; a broken one is replaced at
 * the next use.  Where it broke because the driver's machine did not answer, though the
 * cluster has the instance still, the next goes over another node; unused for
 * CLIENTS_RELAY_MS, it is given up, and the direct way tried again.  Nothing is freed inside a callback of the connection.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_CLIENTS_H
#define POMONA_FLOW_CLIENTS_H

#include "contract/route.h"
#include "execute/client.h"
#include "net/loop.h"

enum { CLIENTS_RELAY_MS = 60000 };

struct clients;
struct client_use; /* one user's hold on a connection */

enum status clients_new(struct loop *loop, struct clients **ret_clients, struct err *err);
void clients_free(struct clients *clients); /* nobody may hold one; NULL is allowed */

/* How another way is found: a connected socket, given; -1: there is none. */
typedef int clients_relay_fn(void *arg, const char *instance_id);
void clients_relay_with(struct clients *clients, clients_relay_fn *relay, void *arg);

/* ret_use  given: clients_put() */
enum status clients_get(struct clients *clients, const struct route *route,
                        struct client_use **ret_use, struct err *err);
struct client *client_of(struct client_use *use);
void clients_put(struct clients *clients, struct client_use *use); /* NULL is allowed */

/* The instance is gone: its generations fail now, with `why`. */
void clients_fail(struct clients *clients, const char *instance_id, const struct err *why);

#endif
