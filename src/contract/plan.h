/* SPDX-License-Identifier: Apache-2.0 */
/* contract/plan.h - which layers of a model run where: stage 4 to stage 5.
 *
 * shards[] is the pipeline in order: rank 0 holds the token embedding and the
 * first layers, the last rank holds the last layers and the output matrix.
 * The runner of the last rank is the driver: it schedules, samples, and sends
 * tokens to the gateways.  Layers of the shards cover 0..n_layer exactly.
 *
 * Shards of the same layers that follow one another, each with a share, are a team: they split
 * every one of these layers (portion.h).
 */
#ifndef POMONA_CONTRACT_PLAN_H
#define POMONA_CONTRACT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/activation_format.h"
#include "contract/kv_format.h"
#include "contract/model_info.h"
#include "contract/sum_format.h"
#include "contract/transport_kind.h"

enum {
    NODE_NAME_MAX = 64, /* bytes, NUL included; [A-Za-z0-9._-]+ */
    PLAN_SHARDS_MAX = 64,
    PLAN_DRAFT_CONTEXTS = 4, /* whole contexts the draft model has room for */
};

struct plan_shard {
    char node[NODE_NAME_MAX];
    uint32_t first_layer;
    uint32_t n_layers;     /* >= 1 */
    uint32_t share;        /* of its team's layers, 1..PORTION_SHARE_MAX; 0: it has them alone */
    uint64_t weight_bytes; /* predicted */
    uint64_t kv_bytes;     /* predicted, for kv_tokens */
};

struct plan {
    char model[MODEL_NAME_MAX];
    char draft
        [MODEL_NAME_MAX]; /* a second model, in the driver's process, that guesses tokens; "": none */
    uint32_t context_tokens; /* longest sequence */
    enum kv_format kv_format;
    enum activation_format activations;
    enum transport_kind transport; /* between its ranks */
    enum sum_format sums;          /* of teams */
    uint64_t kv_tokens;            /* size of the page pool, the same on every rank */
    size_t n_shards;
    struct plan_shard shards[PLAN_SHARDS_MAX];
};

/* Errors  ST_FORMAT  the layers do not follow one another, or a share is out of bounds
 * ret_n_layers  that the shards cover; may be NULL */
enum status plan_check(const struct plan *plan, uint64_t *ret_n_layers, struct err *err);

/* Whether shard i >= 1 is of the team of the one before it. */
bool plan_is_same_team(const struct plan *plan, size_t i);

/* Of its layers, that shard i has: its share of its team's. */
double plan_fraction(const struct plan *plan, size_t i);

bool plan_has_teams(const struct plan *plan);

#endif
