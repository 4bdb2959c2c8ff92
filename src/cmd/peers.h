/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/peers.h - options of `serve` that say how this node and its peers find each other. */
#ifndef POMONA_CMD_PEERS_H
#define POMONA_CMD_PEERS_H

#include "cmd/cmd.h"
#include "cmd/node.h"

/* "10.0.0.1:80", "[fe80::1%eth0]:80" or ":80" (127.0.0.1): ret_host [HOST_MAX].
 * Errors  ST_RANGE */
enum status peers_address(const char *text, char *ret_host, uint16_t *ret_port, struct err *err);

/* "HOST:PORT,HOST:PORT": appended to the settings' seeds.  Errors: ST_RANGE. */
enum status peers_join(const char *list, struct node_settings *settings, struct err *err);

/* "beacon,mdns,seeds" or "none" as DISCOVER_*; NULL means all.  Errors: ST_RANGE. */
enum status peers_ways(const char *list, unsigned *ret_ways, struct err *err);

/* Where this user's cluster key is: ret_path [PATH_MAX_BYTES]. */
enum status peers_key_path(const struct app *app, char *ret_path, struct err *err);

/* The key: of the file named by `given`, else by POMONA_CLUSTER_KEY, else by
 * `configured` (may be ""), else peers_key_path()'s where there is one.  None
 * of them: ST_OK, and the settings have none. */
enum status peers_key(const struct app *app, const char *given, const char *configured,
                      struct node_settings *settings, struct err *err);

#endif
