/* SPDX-License-Identifier: Apache-2.0 */
/* net/cluster_key.h - the secret that the nodes of a cluster share, and what is derived from it.
 *
 * 256 random bits, made by `pomona keys cluster` and copied to every node by
 * people.  Nothing is ever encrypted or signed with the key itself: each use
 * has a key of its own, derived with HKDF-SHA256 (RFC 5869) from
 *   salt  "pomona cluster key 1"
 *   info  PURPOSE, 0, NAMESPACE
 * where the namespace is the cluster's name.  So two clusters made with one
 * key by mistake still do not understand each other, and nothing that is
 * learned about one purpose's key helps with another.
 *
 * File: 64 hexadecimal digits and a newline, readable by its owner alone.
 *
 * Threads  any
 */
#ifndef POMONA_NET_CLUSTER_KEY_H
#define POMONA_NET_CLUSTER_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { CLUSTER_KEY_BYTES = 32, CLUSTER_KEY_TEXT_MAX = 2 * CLUSTER_KEY_BYTES + 1 };

struct cluster_key {
    uint8_t bytes[CLUSTER_KEY_BYTES];
};

void cluster_key_make(struct cluster_key *ret_key);

/* Read and write the text of a key.  Space around the digits is allowed; no
 * message repeats any of the text.
 * Errors  ST_FORMAT */
enum status cluster_key_parse(const char *text, struct cluster_key *ret_key, struct err *err);
void cluster_key_print(const struct cluster_key *key, char *ret_text); /* [CLUSTER_KEY_TEXT_MAX] */

/* Errors  ST_NOTFOUND; ST_DENIED  others than its owner may read or write the file, and how to
 *         put that right; ST_FORMAT, ST_IO */
enum status cluster_key_load(const char *path, struct cluster_key *ret_key, struct err *err);

/* Write `path` with mode 0600, making its folder; an existing file is replaced. */
enum status cluster_key_save(const char *path, const struct cluster_key *key, struct err *err);

/* [n] bytes for one purpose in one namespace, n <= 255 * 32.
 * Errors  ST_NOMEM */
enum status cluster_key_derive(const struct cluster_key *key, const char *purpose,
                               const char *name_space, uint8_t *ret_bytes, size_t n,
                               struct err *err);

/* Forget key material in a way that no compiler leaves out. */
void cluster_key_wipe(void *bytes, size_t n);

#endif
