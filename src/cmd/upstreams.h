/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/upstreams.h - the upstreams of a gateway's configuration become a node's settings. */
#ifndef POMONA_CMD_UPSTREAMS_H
#define POMONA_CMD_UPSTREAMS_H

#include "cmd/node.h"

/* Fills settings->balancing and ->upstreams.
 * Errors  config_upstreams_load()'s */
enum status upstreams_read(const char *path, struct node_settings *settings, struct err *err);

#endif
