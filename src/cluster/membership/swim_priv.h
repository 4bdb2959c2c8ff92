/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_priv.h - what the parts of swim share.
 *
 *   swim.c        new, free, tick, receive
 *   swim_table.c  members in slots that do not move; by id; in the order of pings
 *   swim_learn.c  records that come in, suspicion, objection
 *   swim_probe.c  pings, relays, and what becomes of them
 *   swim_pull.c   the whole table from a peer, page by page
 *   swim_send.c   which records go into a datagram
 *   swim_wire.c   datagrams to and from bytes
 */
#ifndef POMONA_CLUSTER_MEMBERSHIP_SWIM_PRIV_H
#define POMONA_CLUSTER_MEMBERSHIP_SWIM_PRIV_H

#include "base/clock.h"
#include "cluster/membership/swim.h"
#include "cluster/swim.pb-c.h"

enum {
    SWIM_PROTOCOL = 1,
    RECORDS_MAX = 40, /* of one datagram; more do not fit */
    FILL_RECORDS = 2, /* members told again though nothing changed: repairs what gossip missed */
    FEW = 32,         /* so many members ping twice as much: the first ping after a death is soon */
    PROBES_MAX = 16,  /* under way */
    RELAYED_MAX = 64, /* pings for others under way */
    CHASES_MAX = 3,   /* suspects pinged again every direct_ms / 2 */
    HEALTH_WORST = 8, /* Lifeguard, section IV-A: S */
    CONFIRMATIONS = 3, /* Lifeguard, section IV-B: K */
    TICK_MAX_MS = 50,  /* what comes in between ticks is acted on within */
    STALL_MS = 250,    /* later than this, the process itself stood still */
    PULL_WITHIN_MS = 300,
    PULL_TRIES = 8,
    ARENA_BYTES = 24 << 10, /* an unpacked datagram; larger ones are not ours */
};

#define NO_SLOT UINT32_MAX

/* 48 bytes: thousands of nodes in one simulation have thousands of these each. */
struct entry {
    struct swim_id id;
    struct swim_address address;
    uint8_t state;
    uint8_t n_left; /* times that gossip still tells of it; > 0: it is in the queue */
    uint32_t incarnation;
    uint64_t at_ns;            /* alive, suspect: when it last answered; dead, left: since when */
    uint64_t n_pings, n_pongs; /* of probes, sent and answered by itself */
    uint32_t probe_sequence;   /* of the last probe: its answers may come after it is over */
    uint8_t n_probe_open;      /* pings of it that are not answered */
};

struct record {
    struct swim_member member;
    uint32_t silent_ms;
    uint32_t n_suspecters;
    uint32_t suspecters[SWIM_SUSPECTERS_MAX];
};

struct datagram {
    Wire__Swim__Kind kind;
    uint32_t sequence;
    bool has_to, has_after, is_last;
    struct swim_id to, after;
    struct record from, target;
    size_t n_records;
    struct record records[RECORDS_MAX];
};

struct probe {
    uint32_t slot; /* NO_SLOT: free */
    uint32_t sequence;
    uint32_t n_asked, n_nacks;
    uint64_t sent_ns, ask_ns, fail_ns; /* ask_ns: 0 once done */
};

struct relayed {
    uint32_t slot; /* NO_SLOT: free */
    uint32_t sequence, asker_sequence;
    struct swim_address asker;
    uint64_t nack_ns;
};

struct suspicion {
    uint32_t slot;
    bool is_own; /* this node pinged in vain */
    uint32_t n_suspecters;
    uint32_t suspecters[SWIM_SUSPECTERS_MAX];
    uint64_t since_ns;
};

struct pull {
    bool is_on;
    struct swim_address peer;
    bool has_after;
    struct swim_id after;
    uint32_t sequence, n_tries;
    uint64_t retry_ns;
};

struct queue { /* of slots with n_left > 0; a ring */
    uint32_t *slots;
    uint32_t first, n, capacity; /* capacity: a power of two */
};

struct swim {
    struct swim_params params;
    const struct swim_effects *effects;
    void *arg;

    struct entry *entries; /* slot 0 is this node */
    uint32_t n_entries, capacity;
    uint32_t n_alive;   /* alive and suspect, this node included */
    uint32_t *sorted;   /* [n_entries] by id */
    uint32_t *order;    /* [n_entries] of pings */
    uint32_t order_at;  /* next of them */
    uint32_t fill_at;   /* next slot of those told again */
    uint32_t revive_at; /* next slot looked at for a dead one */
    struct queue queue;

    struct probe probes[PROBES_MAX];
    struct relayed relayed[RELAYED_MAX];
    struct suspicion *suspicions;
    uint32_t n_suspicions, suspicions_capacity;
    struct pull pull;

    uint32_t sequence;
    uint32_t health; /* 0: well; periods are (health + 1) times as long */
    bool is_leaving;
    uint64_t period_ns; /* when the next begins */
    uint64_t chase_ns;  /* when suspects are pinged next */
    uint64_t revive_ns; /* when one of the dead is pinged next */
    uint64_t wake_ns;   /* what the last tick returned */
    uint64_t burst_ns;  /* objections do not go out to many before */

    struct datagram in, out;
    uint8_t arena[ARENA_BYTES];
};

/* swim_table.c */
uint32_t table_find(const struct swim *swim, const struct swim_id *id);
/* The place of the first id > `after` in sorted[]; 0 if `after` is NULL. */
uint32_t table_after(const struct swim *swim, const struct swim_id *after);
enum status table_add(struct swim *swim, const struct swim_member *member, uint64_t now_ns,
                      uint32_t *ret_slot, struct err *err);
/* Next alive or suspect member to ping; NO_SLOT: there is none. */
uint32_t table_next_to_ping(struct swim *swim);
/* Up to `n` different alive members, without this node and `but`. */
size_t table_pick(struct swim *swim, uint32_t but, size_t n, uint32_t *ret_slots);
uint32_t table_next_dead(struct swim *swim);
uint32_t swim_random(struct swim *swim, uint32_t below);
struct swim_member entry_member(const struct entry *entry);

/* swim_learn.c */
void learn(struct swim *swim, const struct record *record, uint64_t now_ns);
void suspect(struct swim *swim, uint32_t slot, uint64_t since_ns, uint64_t now_ns);
/* `slot` answered. */
void answered(struct swim *swim, uint32_t slot, uint64_t now_ns);
void suspicions_tick(struct swim *swim, uint64_t now_ns);
uint64_t suspicion_end_ns(const struct swim *swim, const struct suspicion *suspicion);
struct suspicion *suspicion_of(const struct swim *swim, uint32_t slot);
uint32_t suspecter_of(const struct swim_id *id);

/* swim_probe.c */
void probes_period(struct swim *swim, uint64_t now_ns);
void revive_tick(struct swim *swim, uint64_t now_ns);
void chase_tick(struct swim *swim, uint64_t now_ns);
void probes_tick(struct swim *swim, uint64_t now_ns);
void probe_ask(struct swim *swim, const struct swim_address *asker, uint64_t now_ns);
void probe_ack(struct swim *swim, uint64_t now_ns);
void probe_nack(struct swim *swim);
uint64_t probes_wake_ns(const struct swim *swim);
void health_worse(struct swim *swim);

/* swim_pull.c */
void pull_start(struct swim *swim, const struct swim_address *peer, uint64_t now_ns);
void pull_page(struct swim *swim, uint64_t now_ns);
void pull_tick(struct swim *swim, uint64_t now_ns);

/* swim_send.c: fills swim->out with what gossip has and sends it.
 * `about` goes first, NO_SLOT: nobody in particular. */
void swim_send(struct swim *swim, Wire__Swim__Kind kind, uint32_t sequence, uint32_t to,
               uint32_t about, const struct swim_address *address, uint64_t now_ns);
void send_ask(struct swim *swim, uint32_t sequence, uint32_t relay, uint32_t target,
              uint64_t now_ns);
void send_pull(struct swim *swim, uint32_t sequence, uint64_t now_ns);
void send_page(struct swim *swim, const struct swim_address *to, uint64_t now_ns);
void queue_push(struct swim *swim, uint32_t slot);
struct record record_of(const struct swim *swim, uint32_t slot, uint64_t now_ns);

/* swim_wire.c: ret_bytes is [SWIM_DATAGRAM_MAX]; records that do not fit are
 * left out from the end, and ret_n_records says how many went in. */
size_t datagram_pack(const struct swim *swim, const struct datagram *d, uint8_t *ret_bytes,
                     size_t *ret_n_records);
enum status datagram_unpack(struct swim *swim, const uint8_t *bytes, size_t n,
                            struct datagram *ret_datagram, struct err *err);

#endif
