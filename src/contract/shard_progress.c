/* SPDX-License-Identifier: Apache-2.0 */
/* contract/shard_progress.c - how far a node is with its shard of an instance. */
#include "contract/shard_progress.h"

/* Fetching, where it happens, takes most of the time: a network is slower than the memory that
 * packing reads and writes. */
static const double FETCHING_PART = 0.75;

const char *shard_stage_word(enum shard_stage stage)
{
    static const char *const words[N_SHARD_STAGES] = {
        [STAGE_LOADING] = "loading",
        [STAGE_STARTING] = "starting",
        [STAGE_FETCHING] = "fetching",
        [STAGE_READY] = "ready",
    };

    return words[stage];
}

double shard_progress_part(const struct shard_progress *p)
{
    const bool is_known = p->total_bytes > 0 && p->done_bytes <= p->total_bytes;
    const double part = is_known ? (double)p->done_bytes / (double)p->total_bytes : 0;
    const double before = p->has_fetched ? FETCHING_PART : 0;

    switch (p->stage) {
    case STAGE_FETCHING: return FETCHING_PART * part;
    case STAGE_LOADING: return before + (1 - before) * part;
    case STAGE_READY: return 1;
    case STAGE_STARTING:
    case N_SHARD_STAGES: break;
    }
    return 0;
}

double shard_progress_seconds_left(const struct shard_progress *p)
{
    if (p->total_bytes == 0 || p->done_bytes > p->total_bytes || !(p->bytes_per_s > 0))
        return -1;
    return (double)(p->total_bytes - p->done_bytes) / p->bytes_per_s;
}
