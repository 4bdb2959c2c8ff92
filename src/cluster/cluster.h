/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/cluster.h - this node among its peers: members, instances, placing.
 *
 * Nodes keep a channel to each peer (contract of the messages:
 * cluster/node.proto), so there are NODES_MAX at most, and watch one another by
 * datagrams beside it (membership/swim.h, which would do for thousands).  A
 * peer is dead when its process ended, or when it answers neither way
 * (membership/verdict.h): within 2 s.  One that answers datagrams but has no
 * channel is alive and takes no part.  Peers are those of the configuration and, where
 * joining is allowed, whoever discovery (cluster/discovery) finds or who
 * connects and proves the key.  One node leads (election/lead.c): it coordinates placing, so that
 * two requests for one model make one instance, and what it decides (which models shall
 * be placed) is on the disks of others before it is done, and outlasts every process.
 *
 * An instance, as every node sees it:
 *
 *   placing --all shards ready--> ready --a runner or its node is lost--> gone
 *        \------ a shard fails, deadline ------> gone (with words)
 *
 * A node that sees a node of the instance die says so to all; one without part
 * in the instance only forgets it, since the channel between the two may be
 * all that broke.
 *
 * Nothing here waits: what takes time calls back.
 *
 * Security  with a cluster key the control channel is TLS 1.3 proved by the key on
 *           both sides (net/tls.h), and datagrams are sealed with it (net/seal.h):
 *           nobody else learns or does anything.  Without
 *           one, peers are heard and called on loopback only.  How many
 *           connections may be undecided is bounded, in all and per address.
 *           With a key data connections are TLS too, each kind with a key derived for it
 *           (net/tls.h, net/data_key.h): hidden rows between runners, tokens between
 *           gateways and drivers, pieces of models between peers.
 *
 * Threads  the loop's
 */
#ifndef POMONA_CLUSTER_CLUSTER_H
#define POMONA_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/paths.h"
#include "base/status.h"
#include "contract/model_info.h"
#include "contract/node_set.h"
#include "contract/plan.h"
#include "contract/route.h"
#include "contract/shard_progress.h"
#include "contract/trace.h"
#include "net/cluster_key.h"
#include "net/loop.h"

enum { BEAT_EVERY_MS = 250, CLUSTER_SOURCES_MAX = 16, SHARE_KEY_BYTES = 32, CLUSTER_HUB_MAX = 512 };

struct cluster;

/* What this node is told about itself and its peers. */
struct cluster_peer {
    char name[NODE_NAME_MAX];
    char host[HOST_MAX]; /* numeric address */
    uint16_t port;       /* of the control channel */
    struct hosts links;  /* further addresses; of this node, beside its host: what it tells */
};

/* A model this node can load: its store's entry. */
struct cluster_model {
    struct model_info info; /* is_part: of what fetches left here */
    const char *path;       /* borrowed, copied; of a part not used */
};

/* How peers are found beyond the configuration's.  Each way alone is enough. */
enum {
    DISCOVER_BEACON = 1u << 0,
    DISCOVER_SEEDS = 1u << 1,
    DISCOVER_MDNS = 1u << 2,
    DISCOVER_ALL = 7
};

/* Was this program built with mDNS?  Without, DISCOVER_MDNS is passed over with a word in the log. */
bool cluster_has_mdns(void);

struct cluster_seed {
    char host[HOST_MAX]; /* numeric address */
    uint16_t port;
};

struct cluster_discovery {
    unsigned ways;                    /* DISCOVER_*; beacon and mDNS need a key */
    uint16_t udp_port;                /* of the beacon; 0: DISCOVERY_PORT */
    const struct cluster_seed *seeds; /* [n_seeds], borrowed during cluster_new() */
    size_t n_seeds;
};

/* An address at which other machines may reach this one: the first of IPv4, else of IPv6 that is
 * not of one link alone, else 127.0.0.1.  ret_host [HOST_MAX] */
void cluster_main_address(char *ret_host);

enum { DISCOVERY_PORT = 52417, SEEDS_MAX = 64 };

struct cluster_options {
    const char *cluster_name;
    const char *node_name;
    const char *node_id; /* 32 hexadecimal digits, made once and kept */
    const char *host;    /* numeric address others reach this node at; runners bind it too */
    uint16_t port;       /* control channel; 0: no listening, for a node alone */
    uint16_t api_port;
    const char *listen_host;       /* what the control channel binds; NULL: host */
    const struct cluster_key *key; /* borrowed during cluster_new(); NULL: loopback only */
    bool allows_joining;           /* of nodes that are not among `peers`; needs no restart */
    const struct cluster_discovery *discovery; /* NULL: none */
    uint64_t memory_bytes;                     /* what Pomona may use here */
    uint32_t n_threads;                        /* of each runner; 0: all cores */
    const char *engine;                        /* of each runner; NULL: the default */
    const char *kernels;                       /* of each runner; NULL: the best */
    const char *runner_program;                /* path of the executable to start as `runner` */
    const struct cluster_peer *peers; /* every node of the ring in order, this one included */
    size_t n_peers;                   /* 0: a node alone */
    const char *state_dir;    /* where votes and placements are kept; NULL: in memory only */
    const char *shard_dir;    /* where parts of models are fetched to; NULL: nowhere */
    uint16_t share_port;      /* where peers fetch parts of this node's; 0: nowhere */
    uint32_t step_version;    /* that its ranks speak; nodes that do not tell: 1 */
    const uint8_t *share_key; /* 32 bytes, for TLS there; NULL: in clear */
    const char *hub_endpoint; /* model/store/hub.h; NULL: the usual one */
    const char *hub_token;    /* NULL: none */
    const char *speed_file;   /* what is measured of this machine; NULL: it is not measured */
    uint64_t assign_ms;       /* a runner must listen, or fetch something, within; 0: 10 s */
    uint64_t load_ms;         /* and load something within, again and again; 0: 120 s */
};

struct cluster_events {
    void (*on_change)(void *arg); /* members, instances or loads changed; may be NULL */
    /* An instance is gone; its driver's clients should fail now. */
    void (*on_instance_gone)(void *arg, const char *instance_id, const struct err *why);
    /* (optional) A runner of this node did something for a request that is traced. */
    void (*on_work)(void *arg, const struct work_span *work);
};

enum status cluster_new(struct loop *loop, const struct cluster_options *options,
                        const struct cluster_events *events, void *arg,
                        struct cluster **ret_cluster, struct err *err);

/* Ends every runner of this node, waits for none longer than 2 s. */
void cluster_free(struct cluster *cluster);

/* The models of this node's store, and those it has a part of, told to the peers.  Replaces the
 * last list. */
enum status cluster_set_models(struct cluster *cluster, const struct cluster_model *models,
                               size_t n_models, struct err *err);

/* Every model held by an alive node, be it in part: ret_models [capacity], returns how many
 * there are (may exceed capacity). */
size_t cluster_models(const struct cluster *cluster, struct model_info *ret_models,
                      size_t capacity);

/* Where this node finds a model's file: in its store, or a part of it, fetched from others. */
struct cluster_file {
    char path[PATH_MAX_BYTES];
    bool is_fetched; /* it has to be, in part; false: the whole is in the store */
    struct {
        char host[HOST_MAX];
        struct hosts hosts; /* in the order to try them */
        uint16_t port;
        bool is_part;               /* it may have a part, now or soon */
    } sources[CLUSTER_SOURCES_MAX]; /* [n_sources] alive nodes that give it */
    size_t n_sources;
    double begin; /* where in the file this node begins, so that each node begins elsewhere */
    bool has_root;
    uint8_t root[MODEL_ROOT_BYTES];                                 /* of the file that is meant */
    char origin[MODEL_ORIGIN_MAX];                                  /* "": not known */
    char hub_endpoint[CLUSTER_HUB_MAX], hub_token[CLUSTER_HUB_MAX]; /* "": none */
    const uint8_t *key; /* lent by the cluster; NULL: none */
};

/* Errors  ST_NOTFOUND  it is not here, and neither an alive node nor a hub gives it;
 *         ST_FORMAT  nodes hold different files, and none is the more frequent */
enum status cluster_file(const struct cluster *cluster, const struct model_info *model,
                         struct cluster_file *ret_file, struct err *err);

/* The nodes as stage 3 wants them; `holds_model`, `may_fetch` for the model named. */
void cluster_nodes(const struct cluster *cluster, const char *model, struct node_set *ret_nodes);

enum instance_state { INSTANCE_PLACING, INSTANCE_READY, INSTANCE_GONE };

struct cluster_instance {
    struct instance_view view;
    enum instance_state state;
    struct plan plan;
    double progress;                               /* 0..1, of fetching and loading */
    struct shard_progress shards[PLAN_SHARDS_MAX]; /* of each rank */
    double load_seconds;                           /* once ready: slowest shard */
    bool is_leaving;                               /* one of its nodes drains */
    uint64_t kv_tokens_used;                       /* held by running sequences */
    uint64_t kv_tokens_cached; /* held by nobody, found by prompts that begin with them */
    uint64_t n_generated_tokens;
    double step_seconds, wait_seconds; /* of the driver's steps, and of that for other ranks */
    uint64_t n_steps, n_preempted;
    uint64_t n_alone_tokens; /* of steps with one sequence alone, past its prompt */
    double alone_seconds;    /* what those took */
};

/* Copies of the instances that are placing or ready. */
size_t cluster_instances(const struct cluster *cluster, struct cluster_instance *ret_instances,
                         size_t capacity);

/* Called on progress (done false, instance lent), then once with done true:
 * instance ready, or instance NULL and `failure` set. */
typedef void place_fn(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure);

/* What a placing is for, as decides what shall be placed from now on. */
enum place_purpose {
    PLACE_NEEDED, /* a request needs the model: it shall be placed, if it was not to be already */
    PLACE_ASKED,  /* somebody asked for this plan: beside what is ready, a copy more */
    PLACE_MOVED,  /* another instance for what shall be placed already */
};

struct place_order {
    const struct plan *plan; /* borrowed, copied */
    enum place_purpose purpose;
};

/* Called on progress (done false, instance lent), then once with done true:
 * instance ready, or instance NULL and `failure` set.  Of an unplacing that went well, both are NULL. */
typedef void place_fn(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure);

/* Run a plan; `fn` follows, never inside this call.  Asking again for a model that is being placed,
 * or is ready with no other plan asked, joins that placing.  Another plan for a model that is ready
 * adds an instance.  Where nobody leads, a leader is waited for, half a minute at most; where the
 * leader is lost, the next one is asked.
 * ret_ticket  for cluster_place_forget(): the caller lost interest; the placing goes on
 * Errors  ST_NOTFOUND  a node of the plan is not alive; ST_RANGE  the plan does not cover the model
 *         to fn, too: ST_PEER  a node was lost: another plan may do */
enum status cluster_place(struct cluster *cluster, const struct place_order *order, place_fn *fn,
                          void *arg, uint64_t *ret_ticket, struct err *err);
void cluster_place_forget(struct cluster *cluster, uint64_t ticket);

/* The model shall not be placed any more: once that is decided, every instance of it ends, on all
 * nodes.  `fn` follows, never inside this call.
 * Errors  to fn: ST_NOTFOUND  it is not placed; ST_PEER  nobody leads */
enum status cluster_unplace(struct cluster *cluster, const char *model, place_fn *fn, void *arg,
                            uint64_t *ret_ticket, struct err *err);

/* End one instance, on all nodes; its clients are told `why`.
 * Errors  ST_NOTFOUND  it is gone already */
enum status cluster_end(struct cluster *cluster, const char *instance_id, const struct err *why,
                        struct err *err);

enum cluster_runner_state { RUNNER_STARTING, RUNNER_READY, RUNNER_ENDING };

/* A runner of this node. */
struct cluster_runner {
    char instance_id[INSTANCE_ID_MAX], model[MODEL_NAME_MAX]; /* model "": its instance is gone */
    uint32_t rank;
    enum cluster_runner_state state;
    long pid;              /* 0: not there yet */
    unsigned n_unanswered; /* beats, BEAT_EVERY_MS each */
};

/* ret_runners [capacity]; returns how many there are.
 * ret_started, ret_lost  since this node began; lost: not by being asked to end */
size_t cluster_runners(const struct cluster *cluster, struct cluster_runner *ret_runners,
                       size_t capacity, uint64_t *ret_started, uint64_t *ret_lost);

/* Is a runner of this node late with its answers, or does its step not get on? A second later it is
 * ended; until then requests may hang. */
bool cluster_is_stalled(const struct cluster *cluster);

/* A way to an instance's driver over another node, for a gateway that does not reach it itself:
 * a connected socket, given, of which the other end is what the driver hears and says.  It ends
 * where no node gets through.  -1: there is none to ask. */
int cluster_relay(struct cluster *cluster, const char *instance_id);

enum drain_switch { DRAIN_ON, DRAIN_OFF };

/* Let a node hold nothing, or again something: plans that name one that drains are
 * refused.  What it holds stays until it is ended.
 * by      a program that will end it, which all are told of; "": a person asked.  Borrowed
 * Errors  ST_NOTFOUND  no such node; ST_PEER  it is not alive */
enum status cluster_drain(struct cluster *cluster, const char *node, enum drain_switch how,
                          const char *by, struct err *err);

enum leadership_kind {
    LEADER_NONE,
    LEADER_ELECTED,   /* its decisions stay */
    LEADER_CARETAKER, /* it places what requests need, and decides nothing */
};

struct cluster_leadership {
    enum leadership_kind kind;
    char leader[NODE_NAME_MAX]; /* "": nobody */
    bool is_local;              /* this node does */
    uint64_t epoch;
    size_t n_voters;   /* that elect; 0: the first node alive leads */
    uint64_t since_ns; /* of the last change */
};
void cluster_leadership(const struct cluster *cluster, struct cluster_leadership *ret);

enum { COPIES_MAX = 16, WANTED_MAX = 256 };

/* What is decided about a model. */
struct cluster_wanted {
    char model[MODEL_NAME_MAX];
    size_t n_copies; /* 0: it was unplaced */
};

/* ret_wanted [capacity]; returns how many there are, WANTED_MAX at most. */
size_t cluster_wanted(const struct cluster *cluster, struct cluster_wanted *ret_wanted,
                      size_t capacity);

/* The plan of a copy as it was last asked for.  False: there is none. */
bool cluster_wanted_plan(const struct cluster *cluster, const char *model, size_t copy,
                         struct plan *ret_plan);

struct cluster_member {
    char name[NODE_NAME_MAX];
    char id[33];
    char version[32];
    char host[HOST_MAX];
    uint16_t port, api_port;
    uint16_t share_port;   /* where it gives pieces of its models; 0: nowhere, and it takes none */
    uint32_t step_version; /* that ranks here speak; 0: the first */
    bool is_alive, is_local, is_draining;
    char drained_by
        [NODE_NAME_MAX]; /* while it drains: a program that will end it; "": a person asked */
    bool is_connected;   /* it has a channel: else it may be alive, and takes no part */
    bool has_datagrams;  /* it answers them: else its channel alone tells that it is alive */
    uint64_t memory_bytes, memory_used_bytes;
    double rtt_ms;             /* of the last beat; 0 unknown */
    uint64_t n_pings, n_pongs; /* datagrams that this node sent it, and answers that came */
    struct node_speed speed;   /* all 0: not measured */
};
size_t cluster_members(const struct cluster *cluster, struct cluster_member *ret_members,
                       size_t capacity);

/* One way from a node to an address of another, as the first measured it. */
struct cluster_link {
    char from[NODE_NAME_MAX], to[NODE_NAME_MAX];
    char host[HOST_MAX]; /* of `to` */
    double latency_s;    /* one way */
    double bytes_per_s;  /* 0: it does not answer there */
    bool is_best;        /* of those from `from` to `to` */
    bool is_cut;         /* an instance broke on it, a short while ago */
};

/* Between alive nodes, as far as they are measured.  *ret_links given: free(); NULL where there are
 * none.  Returns how many. */
size_t cluster_links(const struct cluster *cluster, struct cluster_link **ret_links);

/* Two shards of `plan` whose nodes do not reach each other for data, as an instance found: every
 * rank connects with every other.  False: none is known. */
bool cluster_cut_pair(const struct cluster *cluster, const struct plan *plan, size_t *ret_a,
                      size_t *ret_b);

#endif
