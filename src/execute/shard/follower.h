/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/follower.h - what every rank but the driver does, until the instance ends.
 *
 *   wait for a step from a rank of the team before (of the first team: from the driver)
 *   compute this shard's layers
 *   send the step, with hidden rows, to those of the next team that wait for this rank;
 *   of the last team: send what is wanted of the logits of this rank's portion to the driver
 *
 * A follower keeps no sequences: the step says everything.  An idle instance
 * sends no steps, so the first byte of a step is waited for without end; a
 * peer that is gone ends that wait at once.
 *
 * Threads  one owner thread
 */
#ifndef POMONA_EXECUTE_SHARD_FOLLOWER_H
#define POMONA_EXECUTE_SHARD_FOLLOWER_H

#include "execute/shard/lineup.h"
#include "execute/shard/step.h"
#include "execute/shard/traced.h"

struct follower_options {
    struct engine_shard *shard;       /* borrowed */
    struct transport *ring;           /* borrowed; this rank is not its last */
    const struct lineup *lineup;      /* borrowed; NULL: every rank is a team of its own */
    uint32_t first_output, n_outputs; /* rows of the output matrix here; 0: none */
    struct step_limits limits;
    struct traced *traced; /* borrowed; NULL: nothing is told of requests that are traced */
    uint64_t step_deadline_ms;
};

/* Returns only with an error.
 * Errors  ST_PEER, ST_DEADLINE, ST_FORMAT, ST_NOMEM */
enum status follower_run(const struct follower_options *options, struct err *err);

#endif
