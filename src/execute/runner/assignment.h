/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/assignment.h - what the node told this runner to be, checked. */
#ifndef POMONA_EXECUTE_RUNNER_ASSIGNMENT_H
#define POMONA_EXECUTE_RUNNER_ASSIGNMENT_H

#include <stdbool.h>

#include "base/paths.h"
#include "base/status.h"
#include "contract/portion.h"
#include "contract/route.h"
#include "contract/runner.pb-c.h"
#include "contract/sum_format.h"
#include "contract/transport_kind.h"
#include "execute/shard/lineup.h"
#include "execute/shard/step.h"
#include "model/share/swarm.h"
#include "net/cluster_key.h"
#include "transport/tcp/tcp.h"

enum {
    RUNNER_PAGE_TOKENS = 32,
    RUNNER_MAX_ROWS = 512,
    RUNNER_MAX_SEQUENCES = 64,
    RUNNER_MAX_GUESSES = 32, /* of one step */
    RUNNER_MAX_WAITING = 512,
    RUNNER_STEP_DEADLINE_MS = 60000,
    RUNNER_STEP_TARGET_MS = 200, /* a cancel and a newcomer wait for one step at most */
    RUNNER_KERNELS_MAX = 32,
    ASSIGNMENT_HUB_MAX = 512,
};

struct assignment {
    char instance_id[INSTANCE_ID_MAX];
    uint8_t key[INSTANCE_KEY_BYTES];
    char model_path[PATH_MAX_BYTES];
    char draft_path[PATH_MAX_BYTES]; /* "": no draft model */
    uint8_t model_digest[MODEL_DIGEST_BYTES];
    uint32_t rank, n_ranks;
    uint32_t first_layer, n_layers;
    struct lineup lineup;
    uint32_t shares[PORTION_MEMBERS_MAX]; /* [n_shares] of the rank's team; none: it has its layers
                                           * alone */
    uint32_t n_shares;
    uint32_t context_tokens;
    uint32_t n_pages;
    enum kv_format kv_format;
    enum activation_format activations;
    enum transport_kind transport;
    enum sum_format sums; /* of its team */
    uint32_t n_threads;
    char listen_host[HOST_MAX];
    char engine[RUNNER_KERNELS_MAX], kernels[RUNNER_KERNELS_MAX];
    bool is_fetched; /* the shard's part of the file; else the whole is here */
    struct {
        char host[HOST_MAX];
        struct hosts hosts; /* in the order to try them; none: `host` */
        uint16_t port;
        bool is_part;
    } sources[SWARM_SOURCES_MAX]; /* [n_sources] */
    size_t n_sources;
    double fetch_begin; /* where in the file, 0 <= fetch_begin < 1 */
    bool has_fetch_key, has_data_key, has_root;
    uint8_t fetch_key[DATA_KEY_BYTES];
    struct cluster_key data_key;
    uint8_t model_root[MODEL_ROOT_BYTES];
    char model_name[MODEL_NAME_MAX];
    char origin[MODEL_ORIGIN_MAX];
    char hub_endpoint[ASSIGNMENT_HUB_MAX], hub_token[ASSIGNMENT_HUB_MAX]; /* "": none */
    struct tcp_listener *listener; /* owned; NULL where there is one rank */
};

/* *ret_assignment given: assignment_free(); without a listener yet.
 * Errors  ST_RANGE, ST_NOMEM */
enum status assignment_read(const Wire__ShardAssign *message, struct assignment **ret_assignment,
                            struct err *err);
void assignment_free(struct assignment *assignment); /* NULL is allowed */

/* The same on every rank, so that they agree on what a step may be. */
struct step_limits assignment_limits(const struct assignment *assignment, uint32_t n_vocab,
                                     uint32_t n_hidden);

/* Where the ranks' transports listen. */
struct endpoints {
    uint32_t n;
    struct tcp_endpoint ranks[TCP_RANKS_MAX]; /* they point into what follows */
    char host[TCP_RANKS_MAX][HOST_MAX];
    struct hosts hosts[TCP_RANKS_MAX];
};

/* *ret_endpoints given: free().  Errors: ST_RANGE, ST_NOMEM */
enum status endpoints_read(const Wire__ShardConnect *message, struct endpoints **ret_endpoints,
                           struct err *err);

#endif
