/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm.h - several peers that give the pieces of one model's file.
 *
 * Pieces are asked of all sources at once, a few of each.  A source that gives wrong bytes is
 * not asked again; one that fails or says nothing is given a rest, and up after FAILURES_MAX
 * times in a row.  When nothing is left to ask for, a piece that has been under way for long
 * is asked of another source too, and the first answer wins: one slow source does not hold up
 * the end.
 *
 *   piece: missing --asked--> under way --right bytes--> here
 *             ^--failed, wrong bytes---/
 *
 * Threads  one: the functions that fetch wait, and say how far they are meanwhile
 */
#ifndef POMONA_MODEL_SHARE_SWARM_H
#define POMONA_MODEL_SHARE_SWARM_H

#include "model/share/partial.h"

enum {
    SWARM_SOURCES_MAX = 8, /* more are left out */
    SWARM_TRANSFERS_MAX = 8,
    SWARM_PER_SOURCE_MAX = 4,
    SWARM_FAILURES_MAX = 4,
    SWARM_STALL_MS = 30000,
    SWARM_HOST_MAX = 256,
};

struct swarm;

struct swarm_source {
    const char *host; /* numeric */
    uint16_t port;
};

struct fetch_progress {
    uint64_t done_bytes, total_bytes;
    double bytes_per_s; /* of the last seconds */
};

typedef void fetch_progress_fn(void *arg, const struct fetch_progress *progress);

struct swarm_options {
    uint8_t digest[MODEL_DIGEST_BYTES];
    const struct swarm_source *sources; /* copied */
    size_t n_sources;
    const uint8_t *key; /* [PROOF_KEY_BYTES], borrowed until swarm_free(); NULL: none */
    uint64_t stall_ms;  /* without a byte, or news of a manifest, from anybody; 0: SWARM_STALL_MS */
    fetch_progress_fn *on_progress; /* may be NULL */
    void *arg;
};

enum status swarm_new(const struct swarm_options *options, struct swarm **ret_swarm,
                      struct err *err);
void swarm_free(struct swarm *swarm); /* NULL is allowed */

/* The manifest of the first source that has one.  It may take its time to make it; progress
 * is told in bytes it has hashed.
 * Errors  ST_PEER  no source has the model, with the reason of one; ST_DEADLINE, ST_NOMEM */
enum status swarm_manifest(struct swarm *swarm, struct manifest *ret_manifest, struct err *err);

/* Fetch into `partial` what is in `wanted` and not there.
 * Errors  ST_PEER  every source was given up, with the reason of one; ST_DEADLINE;
 *         as partial_put() */
enum status swarm_pieces(struct swarm *swarm, const struct manifest *manifest,
                         const struct piece_map *wanted, struct partial *partial, struct err *err);

#endif
