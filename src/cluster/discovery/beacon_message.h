/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/beacon_message.h - what a beacon says, inside its seal.
 *
 *   0  1  version, 1
 *   1  1  what: 1 "here", 2 "here, and who else?"
 *   2  2  port of the control channel, big-endian
 *   4 16  node id
 * Longer ones are read as far as this goes, so that later versions may add.
 * The address is the one that the datagram came from.
 */
#ifndef POMONA_CLUSTER_DISCOVERY_BEACON_MESSAGE_H
#define POMONA_CLUSTER_DISCOVERY_BEACON_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { BEACON_BYTES = 20, BEACON_ID_DIGITS = 32 };
enum beacon_what { BEACON_HERE = 1, BEACON_WHO = 2 };

struct beacon_message {
    enum beacon_what what;
    uint16_t port;                 /* never 0 */
    char id[BEACON_ID_DIGITS + 1]; /* lower-case hexadecimal */
};

/* ret_bytes [BEACON_BYTES].  Errors: ST_RANGE  the id is not 32 hexadecimal digits. */
enum status beacon_write(const struct beacon_message *message, uint8_t *ret_bytes, struct err *err);

/* Any [n] bytes.  Errors: ST_FORMAT. */
enum status beacon_read(const uint8_t *bytes, size_t n, struct beacon_message *ret_message,
                        struct err *err);

#endif
