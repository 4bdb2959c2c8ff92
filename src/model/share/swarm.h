/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm.h - those who give the pieces of one model's file: nodes, and a hub.
 *
 * Pieces are asked of all sources at once, a few of each; choose.h says which of whom.  Nodes
 * that may have a part only, since they fetch at the same time, say every NEWS_MS which pieces
 * they have.  A source that gives wrong bytes is not asked again; one that fails or says
 * nothing is given a rest, and up after FAILURES_MAX times in a row.  When nothing is left to
 * ask for, a piece that has been under way for long is asked of another source too, and the
 * first answer wins: one slow source does not hold up the end.
 *
 *   piece: missing --asked--> under way --right bytes--> here
 *             ^--failed, wrong bytes---/
 *
 * What is right is said by the manifest, and which manifest by `root`, where it is known.
 *
 * Threads  one: the functions that fetch wait, and say how far they are meanwhile
 */
#ifndef POMONA_MODEL_SHARE_SWARM_H
#define POMONA_MODEL_SHARE_SWARM_H

#include "base/address.h"
#include "model/share/choose.h"
#include "model/share/partial.h"

enum {
    SWARM_SOURCES_MAX = 16, /* nodes; more are left out */
    SWARM_TRANSFERS_MAX = 12,
    SWARM_PER_SOURCE_MAX = 4,
    SWARM_FAILURES_MAX = 4,
    SWARM_STALL_MS = 30000,
    SWARM_PARTS_STALL_MS = 5000, /* where nobody has more than a part, and a piece is nowhere */
    SWARM_HOST_MAX = 256,
    SWARM_URL_MAX = 2048,
};

struct swarm;

struct swarm_source {
    const char *host; /* numeric */
    uint16_t port;
    bool is_part;              /* it may have a part; else it has all */
    const struct hosts *hosts; /* in the order to try them; NULL or none: `host` */
};

/* done - from_peers - from_hub: what lay on this machine's disk. */
struct fetch_progress {
    uint64_t done_bytes, total_bytes;
    double bytes_per_s; /* of the last seconds */
    uint64_t peer_bytes, hub_bytes;
};

typedef void fetch_progress_fn(void *arg, const struct fetch_progress *progress);

struct swarm_options {
    uint8_t digest[MODEL_DIGEST_BYTES];
    const uint8_t *root; /* [PIECE_HASH_BYTES], borrowed until swarm_free(): the manifest's; NULL:
                          * the first is believed */
    const struct swarm_source *sources; /* copied */
    size_t n_sources;
    const uint8_t *key;    /* [CLUSTER_KEY_BYTES], borrowed during swarm_new(); NULL: in clear */
    const char *hub_url;   /* of the whole file, copied; NULL: none */
    const char *hub_token; /* borrowed until swarm_free(); NULL: none */
    uint64_t stall_ms; /* without a byte, or news of a manifest, from anybody; 0: SWARM_STALL_MS */
    double begin;      /* where in the file, 0 <= begin < 1; others that fetch it begin elsewhere */
    fetch_progress_fn *on_progress; /* may be NULL */
    void *arg;
};

enum status swarm_new(const struct swarm_options *options, struct swarm **ret_swarm,
                      struct err *err);
void swarm_free(struct swarm *swarm); /* NULL is allowed */

/* The manifest of the first source that has the right one.  It may take its time to make it;
 * progress is told in bytes it has hashed.
 * Errors  ST_PEER  no source has the model, with the reason of one; ST_DEADLINE, ST_NOMEM */
enum status swarm_manifest(struct swarm *swarm, struct manifest *ret_manifest, struct err *err);

/* Fetch into `partial` what is in `wanted` and not there.
 * Errors  ST_PEER  every source was given up, with the reason of one; ST_DEADLINE;
 *         as partial_put() */
enum status swarm_pieces(struct swarm *swarm, const struct manifest *manifest,
                         const struct piece_map *wanted, struct partial *partial, struct err *err);

/* Bytes that came since swarm_new() and were right. */
void swarm_came(const struct swarm *swarm, uint64_t *ret_peer_bytes, uint64_t *ret_hub_bytes);

#endif
