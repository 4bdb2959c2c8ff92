/* SPDX-License-Identifier: Apache-2.0 */
/* contract/shard_progress.h - how far a node is with its shard of an instance.
 *
 *   starting --> fetching --> loading --> ready
 *        \---- its file is here ---^
 *
 * Numbers are sent between nodes: new stages go to the end.
 */
#ifndef POMONA_CONTRACT_SHARD_PROGRESS_H
#define POMONA_CONTRACT_SHARD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum shard_stage {
    STAGE_LOADING, /* weights are packed for this machine, or mapped */
    STAGE_STARTING,
    STAGE_FETCHING, /* pieces of the file come from peers */
    STAGE_READY,
    N_SHARD_STAGES,
};

struct shard_progress {
    enum shard_stage stage;
    bool has_fetched;                 /* a part of the way: pieces came, or come, from peers */
    uint64_t done_bytes, total_bytes; /* of the stage; a total of 0: not known yet */
    double bytes_per_s;               /* while fetching */
    uint64_t peer_bytes, hub_bytes;   /* of the shard's file, that came from there; the rest was on
                                       * this node's disk */
};

/* "fetching"; never NULL for a stage of the list above. */
const char *shard_stage_word(enum shard_stage stage);

/* How much of a shard's way to readiness is done: 0..1. */
double shard_progress_part(const struct shard_progress *progress);

/* Seconds until the bytes of the stage are done, at the speed of now; < 0: nobody knows. */
double shard_progress_seconds_left(const struct shard_progress *progress);

#endif
