/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/fetch.h - get the part of a model that a shard reads from peers that hold it.
 *
 *   here already --> done, without a word to anybody
 *   manifest --> head --> which pieces the layers need --> room on the disk? --> those pieces
 *
 * The file is one of partial.h: whatever ended a fetch, the next one goes on where it was,
 * and one for other layers adds to it.  Beside it lie its manifest, so that a fetch that goes
 * on needs nobody's, and a note of what it is (parts.h).
 *
 * Threads  one; waits
 */
#ifndef POMONA_MODEL_SHARE_FETCH_H
#define POMONA_MODEL_SHARE_FETCH_H

#include "model/share/swarm.h"

struct fetch_options {
    const char *path;   /* of the file; its folder is made */
    const char *name;   /* what the cluster calls the model; NULL: nothing is noted */
    const char *origin; /* where on a hub it came from; NULL: not known */
    const char *hub_endpoint, *hub_token; /* model/store/hub.h; NULL: the usual one, none */
    struct swarm_options from;            /* digest: the model's; its hub is of `origin` */
    uint32_t first_layer, n_layers;       /* 0: the head alone, metadata and tokenizer */
    const uint32_t *shares;               /* [n_shares]: of each layer the portion of `member`; */
    uint32_t n_shares, member;            /* 0 shares: all of it */
};

struct fetch_result {
    uint64_t fetched_bytes; /* that came now; 0: it was here */
    uint64_t shard_bytes;   /* of the pieces that the shard needs, in all */
    uint64_t hub_bytes;     /* of those that came now: from the hub, not from nodes */
};

/* Errors  ST_PEER  nobody gives it, with the reason of one; ST_DEADLINE; ST_FULL  no room on
 *         the disk; ST_FORMAT  the peers' file is not the model asked for; ST_RANGE no such layers */
enum status shard_fetch(const struct fetch_options *options, struct fetch_result *ret_result,
                        struct err *err);

#endif
