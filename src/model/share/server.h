/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/server.h - give peers the pieces of the models that this machine holds.
 *
 *     GET /model/DIGEST/manifest   200 and its bytes (manifest.h); 503 while it is made, the
 *                                  body "DONE TOTAL" in bytes
 *     GET /model/DIGEST/pieces     200 and which pieces are here (piece_map.h)
 *     GET /model/DIGEST/bytes      206 and the range asked for, at most SHARE_RANGE_MAX bytes
 *
 * A model that is not among those given may be here in part (parts.h), whole or still coming:
 * its pieces are given all the same, and bytes of others are a 404.
 *
 * HTTP/1.1 on an address of the data network, under TLS where there is a key.  Without, bytes
 * go from the file to the socket by sendfile(2).  Manifests are made by a thread of their own, from when a model is given, and
 * kept in KEEP/manifests/DIGEST for as long as the file has the same size and time.
 *
 * Security  with a key nobody else gets a byte, and nobody reads one on the way (net/tls.h);
 *           without, keep to loopback.  Connections, headers and ranges are bounded; nothing but the models given
 *           can be named.
 *
 * Threads  a loop and a thread of its own: reading a file may wait for a disk.  These
 *          functions are called by one thread
 */
#ifndef POMONA_MODEL_SHARE_SERVER_H
#define POMONA_MODEL_SHARE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/model_info.h"

enum { SHARE_RANGE_MAX = 1 << 24, SHARE_CONNECTIONS_MAX = 128 };

struct share;

struct share_options {
    const char *host;      /* numeric */
    uint16_t port;         /* 0: any that is free */
    const uint8_t *key;    /* [CLUSTER_KEY_BYTES], copied; NULL: in clear, to everybody */
    const char *keep_dir;  /* NULL: manifests are not kept */
    const char *parts_dir; /* where fetches leave parts; NULL: none is given */
    uint32_t piece_bytes;  /* 0: piece_bytes_of() */
};

struct share_model {
    uint8_t digest[MODEL_DIGEST_BYTES];
    const char *path;
};

enum status share_new(const struct share_options *options, struct share **ret_share,
                      struct err *err);

/* Ends what is being sent, waits for a piece that is being hashed.  NULL is allowed. */
void share_free(struct share *share);

uint16_t share_port(const struct share *share);

/* The models to give from now on.  models: borrowed, copied. */
enum status share_set_models(struct share *share, const struct share_model *models, size_t n,
                             struct err *err);

/* Bytes of models that were given since the start.
 * Threads  any */
uint64_t share_given_bytes(const struct share *share);

#endif
