/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/tally.h - what an upstream says of its answer: its tokens, and why it ended.
 *
 * The answer is looked through for two fields, not parsed: inside of a text their quotes would be escaped, so what is
 * found is a field.
 *
 * Pure.
 */
#ifndef POMONA_FLOW_UPSTREAM_TALLY_H
#define POMONA_FLOW_UPSTREAM_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/reply.h"

struct tally {
    struct reply_usage usage; /* the last that was told */
    bool has_usage;
    uint64_t total_tokens;                             /* as it was told, or the sum of the two */
    uint32_t n_stopped, n_too_long, n_called, n_other; /* choices, by "finish_reason" */
};

/* Note what `json` [n] says: whole events of a stream, or an answer in one piece. */
void tally_look(struct tally *tally, const char *json, size_t n);

#endif
