/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_record.h - what a node advertises by mDNS, for its own cluster's eyes.
 *
 * The TXT record of the service (RFC 6763, section 6):
 *   txtvers=1
 *   node=HEX   a beacon's message (beacon_message.h), sealed with AES-SIV
 *              (RFC 5297), "txtvers=1" authenticated with it
 * mDNS keeps records, and repeats them for whoever asks: a counter or a time,
 * as datagrams have (net/seal.h), would make them worthless.  AES-SIV gives
 * one message always the same ciphertext, so nothing is told but that two
 * records are of one node.  Key: net/cluster_key.h, purpose "mdns", so another
 * cluster's record does not open.  A copy of a record opens, wherever its copier
 * claims that the node is: it only proposes an address, at which the TLS
 * handshake decides.  The port is the sealed one, not the SRV record's.
 *
 * The name of the instance is taken from the ciphertext, and as random; a
 * record under another name is not taken, so a copier cannot make many of one.
 *
 * Threads  any
 */
#ifndef POMONA_CLUSTER_DISCOVERY_MDNS_RECORD_H
#define POMONA_CLUSTER_DISCOVERY_MDNS_RECORD_H

#include "cluster/discovery/beacon_message.h"

enum {
    MDNS_KEY_BYTES = 32,
    MDNS_NAME_MAX = 24, /* "pomona-", 16 digits, NUL */
    MDNS_TEXT_MAX = 96, /* bytes; a whole record's */
};

struct mdns_record {
    char name[MDNS_NAME_MAX];
    uint8_t text[MDNS_TEXT_MAX]; /* [n_text], as it travels */
    size_t n_text;
};

/* key [MDNS_KEY_BYTES].  Errors: ST_RANGE as beacon_write(); ST_NOMEM. */
enum status mdns_record_write(const uint8_t *key, const struct beacon_message *message,
                              struct mdns_record *ret_record, struct err *err);

/* Any [n] bytes, found under the instance name `name`; a daemon may have added " #2" to it.
 * Errors  ST_FORMAT  no TXT record, or none of Pomona; ST_DENIED  not sealed with this key, or
 *         not of that name; ST_NOMEM */
enum status mdns_record_read(const uint8_t *key, const char *name, const uint8_t *text, size_t n,
                             struct beacon_message *ret_message, struct err *err);

#endif
