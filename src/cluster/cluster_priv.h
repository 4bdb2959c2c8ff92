/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/cluster_priv.h - what the parts of cluster/ share.
 *
 *   discovery/   who may be there: beacon.c and mdns.c (addresses heard of), candidates.c
 *                (addresses to call, seeds among them)
 *   membership/  who is there: members.c (the table), link.c (a channel to one
 *                peer), hello.c (the first message), beat.c (signs of life on it),
 *                watch.c (membership by datagrams), judge.c (what becomes of a member)
 *   election/    who leads: lead.c (the effects of the pure election.h, council.h, succession.h)
 *   state/       instance.c (the table of instances), announce.c (told to and by peers),
 *                wanted.c (what shall be placed)
 *   supervise/   spawn.c (start a process), runner.c (this node's runners), file.c (where
 *                they find their model)
 *   relay/       relay.c (a gateway's way to a driver over another node)
 *   topology/    how fast nodes and links are: measuring.c (this machine), probing.c (links from
 *                here), tell.c (told to and by peers), ways.c (which link is used), speed_file.c
 *   ask.c        whoever waits for a placing on this node
 *   place.c      the coordinator's work
 *   obey.c       what a node does that is assigned a shard
 *   unplace.c    the leader's, when a model shall not be placed any more
 *   drain.c      nodes that are to hold nothing
 *   wire.c       plans and models to and from their messages
 *   dispatch.c   which message goes where
 *   cluster.c    new, free, tick
 *
 * Callbacks of the owner may call back into cluster/, so nothing keeps a
 * pointer into a list across one: lists are searched anew.
 */
#ifndef POMONA_CLUSTER_CLUSTER_PRIV_H
#define POMONA_CLUSTER_CLUSTER_PRIV_H

#include "base/address.h"
#include "cluster/cluster.h"
#include "cluster/node.pb-c.h"
#include "cluster/state/desired.h"
#include "net/channel.h"

enum {
    PROTOCOL = 5, /* 2: joining; boot, host and port in Hello.  3: leaders, epochs, topology,
                   * probes.  4: teams.  5: transports */
    PROTOCOL_TRANSPORTS = 5,
    PROTOCOL_TEAMS = 4,
    PROTOCOL_TOPOLOGY = 3,
    PROTOCOL_MIN = 1,
    STEP_VERSION_FIRST = 1, /* of nodes that do not tell theirs */
    FRAME_MAX_BYTES = 1 << 20,
    QUEUE_MAX_BYTES = 8 << 20,
    MODELS_MAX = 1024, /* of one node: their Hello stays inside a frame */
    PARTS_MAX = 256,
    INSTANCES_MAX = 64,
    TOMBSTONES = 256,
    ASKS_MAX = 4096,
    STRANGERS_MAX = 64, /* accepted links that have not said who they are */
    STRANGERS_PER_HOST_MAX = 16,
    CANDIDATES_MAX = 2 * NODES_MAX,
    WARN_AGAIN_MS = 60000,
    RETIRE_MS = 1000,       /* far more than the peer needs to take the other link */
    CHANNEL_BACK_MS = 1500, /* what needs the channel of an alive peer waits for it */
    SHORT_LIVED_MS = 100,   /* a channel that ends sooner is not called again at once */
    BACKOFF_ALIVE_MS = 20,  /* a process that is ending may take a call before its port closes */
    HELLO_WITHIN_MS = 5000,
    CONNECT_WITHIN_MS = 2000,
    BACKOFF_FIRST_MS = 250,
    BACKOFF_LAST_MS = 2000,
    RUNNER_GRACE_MS = 1000, /* between losing its socket and SIGKILL */
    ORPHAN_AFTER_MS = 5000, /* an instance on nodes never seen is forgotten */
    ASSIGN_WITHIN_MS = 10000,
    LOAD_WITHIN_MS = 120000, /* since the last byte loaded */
    DECIDE_WITHIN_MS = 5000, /* a quorum has it on disk, or will not */
    ASK_WITHIN_MS = 30000,   /* a leader is found, and says what becomes of it */
    ASK_AGAIN_MS = 100,
};

/* A way to a peer, as probed from here. */
struct path {
    char host[HOST_MAX];
    double latency_s, bytes_per_s; /* 0: not known */
    bool has_failed;               /* the last probe did */
    uint64_t next_ns;              /* when to probe it next */
    uint64_t cut_until_ns;         /* hidden rows do not get through: not tried before */
};

enum { PATHS_MAX = HOSTS_MAX };

/* What a peer measured to another. */
struct told_link {
    char peer[NODE_NAME_MAX];
    char host[HOST_MAX];
    double latency_s, bytes_per_s;
    uint64_t cut_until_ns;
};

/* How fast a member and the ways to it are. */
struct member_topology {
    struct node_machine machine;
    struct path paths[PATHS_MAX]; /* [n_paths]; of this node itself: its addresses */
    size_t n_paths;
    struct told_link *told; /* [n_told] */
    size_t n_told;
};

struct candidate;
struct measuring;
struct probing;
struct discovery;
struct lead;
struct link;
struct placing;
struct relay;
struct runner;
struct unplacing;
struct watch;

/* What a member last told of who leads, and was told. */
struct member_roll {
    uint64_t epoch;
    char leader[NODE_NAME_MAX]; /* "": nobody */
    bool is_voter;
    uint64_t digest, told_digest;
};

struct member {
    struct cluster_member info; /* memory_used_bytes is computed when asked for */
    struct model_info *models;  /* [n_models], of its store */
    size_t n_models;
    struct model_info *parts; /* [n_parts], of which it has some pieces */
    size_t n_parts;
    struct member_topology topology;
    bool is_configured;     /* among the options' peers; others come and go */
    uint64_t boot;          /* of its last Hello; 0 unknown */
    struct link *link;      /* NULL: none, or this node itself */
    uint64_t attempt_at_ns; /* when to connect next */
    uint64_t backoff_ms;
    uint64_t cut_ns;         /* since when it is alive without a channel; 0: it has one */
    bool is_cut_off;         /* for longer than CHANNEL_BACK_MS */
    bool speaks_swim;        /* it answers datagrams (watch.h), as its Hello says */
    bool is_said_blocked;    /* it was said that none of it come */
    uint64_t datagrams_ns;   /* when it last was known by them, or had no channel */
    struct address address;  /* of its datagrams; length 0: not known */
    struct member_roll roll; /* since its link is up */
};

/* One channel.  Owned by cluster->links; a member's link is one of them. */
struct link {
    struct cluster *cluster;
    struct channel *channel;
    struct member *member;       /* NULL until a peer of unknown name said Hello */
    struct candidate *candidate; /* whose address was called; NULL: a member's, or accepted */
    char host[HOST_MAX];         /* the other end's address */
    uint32_t protocol;           /* that both speak, once up */
    bool is_outgoing;
    bool is_up;      /* both said Hello */
    bool is_refused; /* about to close; what still arrives is not read */
    bool is_retired; /* another link stands for the peer; open for RETIRE_MS, not written to */
    uint64_t hello_until_ns;
    unsigned n_probes; /* that a stranger sent */
    uint64_t up_ns, heard_ns;
    uint64_t beat_sequence, beat_sent_ns;
    struct link *next;
};

struct instance {
    struct cluster_instance view;
    char coordinator[NODE_NAME_MAX];
    uint64_t epoch; /* of the leader that began it */
    uint64_t learned_ns;
    struct placing *placing; /* on the coordinator, while placing */
    struct instance *next;
};

enum ask_kind { ASK_PLACE, ASK_UNPLACE };

struct ask {
    uint64_t ticket;
    enum ask_kind kind;
    place_fn *fn; /* NULL: forgotten */
    void *arg;
    char model[MODEL_NAME_MAX];
    struct plan *plan; /* owned; to place */
    enum place_purpose purpose;
    uint8_t digest[MODEL_DIGEST_BYTES];
    bool knows_ready;
    uint64_t again_ns, until_ns;       /* when to ask next, and not any more */
    char coordinator[NODE_NAME_MAX];   /* who was asked; empty: nobody yet */
    char instance_id[INSTANCE_ID_MAX]; /* empty until the coordinator replied */
    struct ask *next;
};

struct cluster {
    struct loop *loop;
    struct cluster_events events;
    void *arg;

    char cluster_name[NODE_NAME_MAX];
    char node_id[33];
    uint32_t n_threads;
    char *engine, *kernels, *runner_program;
    char *shard_dir; /* NULL: this node fetches nothing */
    bool has_share_key, has_data_key;
    uint8_t share_key[SHARE_KEY_BYTES];
    struct cluster_key data_key; /* of the instances' data connections */
    char hub_endpoint[CLUSTER_HUB_MAX], hub_token[CLUSTER_HUB_MAX]; /* "": none */
    uint64_t assign_ms, load_ms;

    struct member members[NODES_MAX];
    struct member
        *ring[NODES_MAX]; /* [n_members] of members: the configuration's order, then by name */
    size_t n_members;
    bool allows_joining;
    uint64_t boot;               /* random: tells this process from the one before it */
    struct tls *tls;             /* NULL: no key, loopback only */
    struct discovery *discovery; /* NULL: none */
    struct watch *watch;         /* NULL: none */
    uint64_t warn_denied_after_ns;
    struct member *self;
    char **paths; /* [self->n_models] files of the local models */

    bool hears_everywhere;       /* the control channel is bound to no one address */
    struct hosts advertised;     /* of this node, beside its host; none: those of its interfaces */
    uint64_t addresses_at_ns;    /* when to look for addresses again */
    struct measuring *measuring; /* NULL: this machine is not measured */
    struct probing *probing;

    struct listener *listener;
    struct link *links;
    struct runner *runners;
    uint64_t n_runners_started, n_runners_lost;
    struct instance *instances;
    struct ask *asks; /* by ticket, rising */
    uint64_t last_ticket;
    struct lead *lead;
    struct unplacing *unplacings; /* on the leader */
    struct relay *relays;
    size_t n_relays;
    uint64_t last_relay;

    char tombstones[TOMBSTONES][INSTANCE_ID_MAX]; /* instances that ended; a ring */
    size_t n_tombstones;

    struct loop_timer *tick, *soon, *call;
    struct event *child_signal;
    uint64_t ticked_ns;
    bool has_changed;
};

/* Something changed that the owner is to be told of, or that the next turn
 * of the loop has to go on with. */
void cluster_changed(struct cluster *cluster);
void cluster_soon(struct cluster *cluster);

/* membership/members.c */
struct member *member_find(struct cluster *cluster, const char *name);
const struct member *member_look_up(const struct cluster *cluster, const char *name);
struct member *member_by_id(struct cluster *cluster, const char *id);
/* A new member that is not of the configuration, alive once its link is up.
 * Errors  ST_FULL  NODES_MAX, none of which can be forgotten */
enum status member_add(struct cluster *cluster, const char *name, struct member **ret_member,
                       struct err *err);
void ring_arrange(struct cluster *cluster);           /* after names or members changed */
struct member *member_first(struct cluster *cluster); /* in reach, by name */
/* It is alive, and has a channel or had one just now: no reason to look for another leader. */
bool member_is_in_reach(const struct member *member);
/* It is alive, and messages reach it. */
bool member_takes_part(const struct member *member);
const struct model_info *member_model(const struct member *member, const char *model);
/* Both lists are taken. */
void member_take_models(struct member *member, struct model_info *models, size_t n_models,
                        struct model_info *parts, size_t n_parts);
/* The file that placing `model` means: this node's, else the first alive holder's, else one that
 * an alive node has a part of.  NULL: nobody has it. */
const struct model_info *model_reference(const struct cluster *cluster, const char *model);

/* membership/link.c */
enum status link_listen(struct cluster *cluster, const char *host, uint16_t port, struct err *err);
/* Call the members that are due. */
void links_call(struct cluster *cluster);
/* Call an address of which the name is not known yet. */
enum status link_call(struct cluster *cluster, struct candidate *candidate, struct err *err);
void link_up(struct link *link);
/* End a link that decides nothing about its member: a second one to the same peer. */
void link_drop(struct link *link, const char *words);
/* The same, but the peer may still take it for the one that counts: to close
 * it now could be read as death. */
void link_retire(struct link *link);
/* End a link.  Its member, if it was up, is called anew or dead (judge.c). */
void link_lose(struct link *link, const char *words);
/* Tell the peer why, log it, end the link once that is sent. */
void link_refuse(struct link *link, const char *words);
void links_free(struct cluster *cluster);
void link_send(struct link *link, const Wire__NodeMessage *message);
void link_send_to(struct member *member, const Wire__NodeMessage *message);
void link_broadcast(struct cluster *cluster, const Wire__NodeMessage *message);

/* discovery/candidates.c; NULL discovery: nothing happens */
enum status discovery_start(struct cluster *cluster, const struct cluster_options *options,
                            struct err *err);
void discovery_free(struct discovery *discovery);
void discovery_tick(struct cluster *cluster, uint64_t now_ns);
void candidate_called(struct candidate *candidate, struct link *link);
/* Its link ended, or its peer turned out to be `id`. */
void candidate_ended(struct candidate *candidate);
/* Node `id` is said to be at an address. */
void candidate_heard(struct cluster *cluster, const char *host, uint16_t port, const char *id);
void candidate_is(struct candidate *candidate, const char *id);

/* membership/hello.c */
void hello_send(struct link *link);
enum status hello_receive(struct link *link, const Wire__Hello *hello, struct err *err);
void models_broadcast(struct cluster *cluster);
enum status models_receive(struct member *member, Wire__Model *const *models, size_t n_models,
                           Wire__Model *const *parts, size_t n_parts, struct err *err);

/* membership/judge.c */
void members_judge(struct cluster *cluster, uint64_t now_ns);
/* It is dead: what needs it ends. */
void member_lost(struct cluster *cluster, struct member *member, const char *words);
/* The channel of an alive member ended, `lived_ms` after it was up, and it has no other. */
void member_channel_ended(struct cluster *cluster, struct member *member, uint64_t lived_ms,
                          const char *words);
void member_channel_back(struct cluster *cluster, struct member *member);

/* membership/beat.c */
/* What was not heard while this node itself stood still proves nothing. */
void beats_notice_stall(struct cluster *cluster, uint64_t now_ns);
void beats_tick(struct cluster *cluster, uint64_t now_ns);
void beats_send(struct cluster *cluster, uint64_t now_ns); /* beside those of the tick */
void beat_receive(struct link *link, const Wire__Beat *beat);
void echo_receive(struct link *link, const Wire__BeatEcho *echo);

/* topology/measuring.c; NULL measuring: nothing happens */
enum status measuring_start(struct cluster *cluster, const char *file, struct err *err);
void measuring_stop(struct measuring *measuring); /* at once: a model is placed here */
void measuring_tick(struct cluster *cluster, uint64_t now_ns);
void measuring_free(struct measuring *measuring);

/* topology/probing.c */
enum status probing_start(struct cluster *cluster, struct err *err);
void probing_tick(struct cluster *cluster, uint64_t now_ns);
void probing_free(struct probing *probing);
/* A stranger probes this node. */
enum status probe_receive(struct link *link, const Wire__Probe *probe, struct err *err);

/* topology/tell.c */
void topology_tick(struct cluster *cluster, uint64_t now_ns); /* addresses come and go */
/* One more address, unless it is there or there are PATHS_MAX. */
void topology_add_path(struct member_topology *topology, const char *host);
void topology_send(struct link *link);
void topology_changed(struct cluster *cluster); /* tell everybody */
enum status topology_receive(struct link *link, const Wire__Topology *topology, struct err *err);

/* state/instance.c */
const char *instance_state_word(enum instance_state state);
bool instance_may_move(enum instance_state from, enum instance_state to);
struct instance *instance_find(const struct cluster *cluster, const char *id);
struct instance *instance_of_model(const struct cluster *cluster, const char *model,
                                   enum instance_state state);
enum status instance_add(struct cluster *cluster, const char *id, const struct plan *plan,
                         const char *coordinator, struct instance **ret_instance, struct err *err);
void instance_ready(struct cluster *cluster, struct instance *instance);
/* The ways to its driver from here; none: its host alone. */
void instance_driver_hosts(const struct cluster *cluster, const struct instance *instance,
                           struct hosts *ret_hosts);
/* Its key is known: so is that of its data connections. */
enum status instance_keyed(const struct cluster *cluster, struct instance *instance,
                           struct err *err);
/* The rank that `node` holds; -1: none. */
int instance_rank_of(const struct instance *instance, const char *node);
bool instance_is_buried(const struct cluster *cluster, const char *id);
void instance_bury(struct cluster *cluster, const char *id);

enum instance_end_how {
    END_EVERYWHERE, /* and tell the peers */
    END_BY_ORDER,   /* and order the peers to, as their leader */
    END_AS_TOLD,    /* a peer said so */
    END_HERE,       /* this node lost sight of it; others may not have */
};
/* Ends it: runners, waiting asks, the owner's clients.  `instance` is freed. */
void instance_end(struct cluster *cluster, struct instance *instance, enum instance_end_how how,
                  const struct err *why);
void instances_member_lost(struct cluster *cluster, const char *node);
enum channel_loss { CHANNEL_REPLACED, CHANNEL_GONE };
/* Messages between this node and `node` were lost: what is being placed by them ends; and where no
 * more will come, whatever needs both. */
void instances_channel_lost(struct cluster *cluster, const char *node, enum channel_loss how);
void instances_tick(struct cluster *cluster, uint64_t now_ns);
void instances_free(struct cluster *cluster);

/* drain.c */
/* by  who asked, as cluster_drain() */
void member_drains(struct member *member, bool is_draining, const char *by);
void drain_receive(struct cluster *cluster, const Wire__Drain *drain);
bool instance_is_leaving(const struct cluster *cluster, const struct plan *plan);

/* state/announce.c */
enum announce_from { FROM_HELLO, FROM_COORDINATOR };
/* An InstanceState and what it points into; does not move once filled. */
struct announcement {
    Wire__InstanceState state;
    Wire__Plan plan;
    Wire__PlanShard shards[PLAN_SHARDS_MAX];
    Wire__PlanShard *shard_list[PLAN_SHARDS_MAX];
    Wire__Endpoint driver;
};
void announcement_fill(struct announcement *a, struct instance *instance);
void instance_announce(struct cluster *cluster, struct instance *instance);
void instance_announce_progress(struct cluster *cluster, struct instance *instance);
/* epoch  0: it is told, not ordered */
void instance_announce_gone(struct cluster *cluster, const char *id, uint64_t epoch,
                            const struct err *why);
/* Contradict who takes it for one that is. */
void instance_tell_gone(struct link *link, const char *id, const struct err *why);
enum status instance_learn(struct link *link, const Wire__InstanceState *state,
                           enum announce_from from, struct err *err);
void instance_learn_progress(struct link *link, const Wire__InstanceProgress *progress);
void instance_learn_gone(struct link *link, const Wire__InstanceGone *gone);

/* supervise/file.c */
/* cluster_file() by digest; `model` is for words.
 * root  of the file that is meant, as the coordinator says; NULL: as file_root() says */
enum status file_find(const struct cluster *cluster, const char *model, const uint8_t *digest,
                      const uint8_t *root, struct cluster_file *ret_file, struct err *err);
/* Which content the digest means: that of most alive nodes, then this node's own.
 * ret_root  [MODEL_ROOT_BYTES]; NULL words and *ret_has_root false: no node knows one
 * Errors  ST_FORMAT  nodes differ, and neither is more frequent */
enum status file_root(const struct cluster *cluster, const char *model, const uint8_t *digest,
                      bool *ret_has_root, uint8_t *ret_root, struct err *err);
/* Whether `member` has the whole file; false where it is of another content than `root` (NULL:
 * any). */
bool file_is_held(const struct member *member, const uint8_t *digest, const uint8_t *root);
/* Whether `member` can fetch the file, and an alive node or a hub gives it. */
bool file_may_fetch(const struct cluster *cluster, const struct member *member,
                    const uint8_t *digest);

/* supervise/runner.c */
/* root  NULL: as file_find() */
enum status runner_start(struct cluster *cluster, struct instance *instance, uint32_t rank,
                         const uint8_t *digest, const uint8_t *root, struct err *err);
void runner_connect(struct cluster *cluster, const char *instance_id, size_t n_ranks,
                    Wire__Endpoint **ranks);
bool runner_is_of(const struct cluster *cluster, const char *instance_id);
void runner_end_instance(struct cluster *cluster, const char *instance_id);
void runners_tick(struct cluster *cluster, uint64_t now_ns);
void runners_reap(struct cluster *cluster);
void runners_free(struct cluster *cluster); /* waits, at most 2 s */

/* election/lead.c */
enum status lead_start(struct cluster *cluster, const struct cluster_options *options,
                       struct err *err);
void lead_free(struct lead *lead); /* NULL is allowed */
/* Look again who leads: after anything that it depends on changed. */
void lead_refresh(struct cluster *cluster);
void lead_member_up(struct cluster *cluster, struct member *member);
void lead_member_lost(struct cluster *cluster, struct member *member);
struct member *lead_member(struct cluster *cluster); /* NULL: nobody; it may be a caretaker */
enum leadership_kind lead_kind(const struct cluster *cluster);
uint64_t lead_epoch(const struct cluster *cluster);
bool lead_is_here(const struct cluster *cluster);
bool lead_is_mixed(const struct cluster *cluster);   /* a peer knows no leaders: an older version */
bool lead_has_quorum(const struct cluster *cluster); /* there are enough to elect a leader */
/* Why nobody leads: returns ST_PEER. */
enum status lead_missing(const struct cluster *cluster, struct err *err);
/* Whether to obey a command that node `from` gives in `epoch`.
 * Errors  ST_DENIED */
enum status lead_check(const struct cluster *cluster, uint64_t epoch, const char *from,
                       struct err *err);

/* election/lead_council.c, election/lead_roll.c */
void lead_council_receive(struct link *link, const uint8_t *bytes, size_t n);
enum status lead_roll_receive(struct link *link, const Wire__Roll *roll, struct err *err);
const struct desired *lead_desired(const struct cluster *cluster); /* lent until the loop turns */
/* Decide about `model`, as council_propose().
 * ret_ticket  place_decided() and unplace_decided() name it; 0: it is decided */
enum status lead_decide(struct cluster *cluster, const char *model, const uint8_t *value,
                        size_t n_value, uint64_t *ret_ticket, struct err *err);

/* state/wanted.c */
/* Decide that `plan` shall run from now on, as its purpose says.
 * ret_ticket   0: there is nothing to wait for
 * ret_is_news  something was to be decided */
enum status wanted_decide(struct cluster *cluster, const struct plan *plan,
                          enum place_purpose purpose, uint64_t *ret_ticket, bool *ret_is_news,
                          struct err *err);
/* What was decided for a first placing that failed, for reasons of its own, is taken back. */
void wanted_withdraw(struct cluster *cluster, const struct plan *plan);
bool wanted_is_placed(const struct cluster *cluster, const char *model);

/* topology/ways.c */
/* Where to connect to `member` for messages of n_bytes, in the order to try; one at least. */
void ways_to(const struct cluster *cluster, const struct member *member, size_t n_bytes,
             struct hosts *ret_hosts);
/* NULL: it is not one of the addresses */
struct path *way_find(const struct member_topology *topology, const char *host);
void way_doubted(struct member *member, const char *host); /* a channel fell silent there */
/* Hidden rows do not get through there: for a while it is neither planned with nor probed. */
void way_cut(struct member *member, const char *host);
void ways_whole_again(struct member *member); /* who comes back brings its cables along */
void ways_look_again(struct member *member);  /* probe them all, but cut ones, when it is idle */
/* ret_endpoint lends hosts and list [HOSTS_MAX]. */
void wire_of_hosts(const struct hosts *hosts, char **list, Wire__Endpoint *ret_endpoint);

/* relay/relay.c */
void relay_receive(struct link *link, const Wire__Relay *relay);
void relays_tick(struct cluster *cluster, uint64_t now_ns);
void relays_free(struct cluster *cluster); /* before the links */

/* place.c */
struct place_demand {
    const struct plan *plan;
    const uint8_t *digest;
    enum place_purpose purpose;
    bool knows_ready;
};
/* Errors  ST_DENIED  another node leads */
enum status place_request(struct cluster *cluster, const struct place_demand *demand,
                          char *ret_instance_id, struct err *err);
enum status place_check_nodes(struct cluster *cluster, const struct plan *plan, struct err *err);
void place_decided(struct cluster *cluster, uint64_t ticket, enum status status);
/* The instance is ending: what was decided for its sake alone may have to be taken back. */
void place_failed(struct cluster *cluster, const struct instance *in, const struct err *why);
void place_advance(struct cluster *cluster); /* begin what was requested */
void place_tick(struct cluster *cluster, uint64_t now_ns);
void place_report(struct cluster *cluster, const char *from_node, const Wire__ShardReport *report);

/* obey.c */
/* Start this node's runner of the instance; where that fails, it is over.
 * root  as of runner_start() */
enum status shard_begin(struct cluster *cluster, struct instance *instance, uint32_t rank,
                        const uint8_t *digest, const uint8_t *root);
enum status place_assigned(struct cluster *cluster, const char *from_node,
                           const Wire__AssignShard *assign, struct err *err);
enum status place_connected(struct cluster *cluster, const char *from_node,
                            const Wire__ConnectShard *connect, struct err *err);

/* ask.c */
void asks_replied(struct cluster *cluster, const Wire__PlaceReply *reply);
void asks_progress(struct cluster *cluster, const struct instance *instance);
void asks_ready(struct cluster *cluster, const struct instance *instance);
void asks_gone(struct cluster *cluster, const char *instance_id, const struct err *why);
void asks_coordinator_lost(struct cluster *cluster, const char *node);
/* The instance is lost, but not for its plan's sake: who follows it asks again. */
void asks_repeat(struct cluster *cluster, const char *instance_id);
void asks_advance(struct cluster *cluster, uint64_t now_ns); /* ask who leads now */
void ask_replied(struct cluster *cluster, uint64_t ticket, const char *instance_id,
                 const struct err *outcome);
void asks_settle(struct cluster *cluster); /* those whose instance was ready already */
void asks_free(struct cluster *cluster);
enum status place_received(struct link *link, const Wire__Place *place, struct err *err);

/* unplace.c */
/* Errors  ST_DENIED  another node leads; ST_NOTFOUND  it is not placed
 * Else ask_replied() follows at `asker`, never inside this call. */
enum status unplace_request(struct cluster *cluster, const char *asker, uint64_t ticket,
                            const char *model, struct err *err);
void unplace_received(struct link *link, const Wire__Unplace *unplace);
void unplace_decided(struct cluster *cluster, uint64_t ticket, enum status status);
void unplace_advance(struct cluster *cluster);
void unplacings_free(struct cluster *cluster);

/* dispatch.c */
void dispatch(struct link *link, const Wire__NodeMessage *message);

/* wire.c */
bool text_is_name(const char *text, size_t capacity);
enum status text_take(const char *text, const char *what, char *ret_text, size_t capacity,
                      struct err *err);
void wire_of_model(const struct model_info *info, Wire__Model *ret_model);
enum status wire_to_model(const Wire__Model *model, struct model_info *ret_info, struct err *err);
/* ret_plan lends shards and list, [PLAN_SHARDS_MAX] each. */
void wire_of_plan(const struct plan *plan, Wire__Plan *ret_plan, Wire__PlanShard *shards,
                  Wire__PlanShard **list);
/* Nonsense leaves *progress as it was. */
void wire_of_progress(const struct shard_progress *progress, Wire__ShardProgress *ret_progress);
void wire_to_progress(const Wire__ShardProgress *wire, struct shard_progress *progress);
enum status wire_to_plan(const Wire__Plan *wire, struct plan *ret_plan, struct err *err);

#endif
