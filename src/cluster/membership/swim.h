/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim.h - who is there: failure detection and gossip over datagrams.
 *
 * Every node pings a few members each period, in random order.  One that does
 * not answer, and does not answer others who are asked to ping it either, is
 * suspected; a suspect that does not object in time is dead.  What changes
 * travels as records inside the pings and their answers, so the traffic of a
 * node does not depend on how many nodes there are.
 *
 *                 no answer                     time is up
 *     +-------+ ------------> +---------+ ------------------> +------+
 *  -->| alive |               | suspect |                     | dead |
 *     +-------+ <------------ +---------+                     +------+
 *       |   ^     it objects (incarnation + 1)                   |
 *       |   +------------- it objects (incarnation + 1) ---------+
 *       |  swim_leave()      +------+
 *       +------------------> | left |  and back, with a higher incarnation
 *                            +------+
 *
 * A record (id, incarnation, state) replaces another of the same id if its
 * incarnation is higher, or equal and its state is later in enum swim_state.
 * That is an order with a maximum, so records may come twice, late, or in any
 * order, and all nodes end with the same.  Only a node itself raises its
 * incarnation: an alive record with a higher one is the objection, sent to
 * REFUTE_FANOUT members at once and then by gossip.
 *
 * Time.  A suspect is dead `silence_ms` after the first ping that it did not
 * answer, plus some periods for gossip where there are more than
 * REFUTE_FANOUT members.  So one that stands still for less is never declared
 * dead, and with the default parameters a small cluster knows of a death
 * within 2 s.  A suspicion that nobody else shares lasts `lone_factor` times
 * as long.  Only answers count as life: a node that can send but not receive
 * is of no use.  A node that finds that it stood still itself moves all its
 * deadlines by that much; one whose pings fail pings more slowly (health), but
 * never those that it suspects: they have a fixed time to answer.
 *
 * Pure: time, random numbers and sending are given by the owner; nothing is
 * kept outside struct swim.  Datagrams are bytes in and bytes out; who
 * authenticates them has SWIM_SEAL_BYTES of room.
 *
 * Source   Das, Gupta, Motivala 2002, "SWIM": section 3 (probes), 4.1 (gossip),
 *          4.2 (suspicion), 4.3 (round robin)
 *          Dadgar, Phillips, Currey 2018, "Lifeguard", arXiv:1707.00788: section IV
 * Threads  the owner's; no locks
 */
#ifndef POMONA_CLUSTER_MEMBERSHIP_SWIM_H
#define POMONA_CLUSTER_MEMBERSHIP_SWIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    SWIM_ID_BYTES = 16,
    SWIM_DATAGRAM_MAX = 1200, /* bytes; with a seal below what every network carries unbroken */
    SWIM_SEAL_BYTES = 80,     /* what authentication may add */
    SWIM_MEMBERS_MAX = 8192,
    SWIM_SUSPECTERS_MAX = 4,
    SWIM_REFUTE_FANOUT = 16,
};

struct swim_id {
    uint8_t bytes[SWIM_ID_BYTES];
};

struct swim_address {
    uint8_t ip[16]; /* IPv6; IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
};

enum swim_state {
    SWIM_ABSENT, /* not known, or forgotten */
    SWIM_ALIVE,
    SWIM_SUSPECT,
    SWIM_DEAD,
    SWIM_LEFT,
};

struct swim_member {
    struct swim_id id;
    struct swim_address address;
    uint8_t state; /* enum swim_state */
    uint32_t incarnation;
};

struct swim_params {
    uint64_t cluster;     /* tag of the cluster: others' datagrams are dropped */
    uint32_t period_ms;   /* between rounds of pings */
    uint32_t n_probes;    /* members pinged each period; among 32 or fewer twice as many */
    uint32_t n_relays;    /* members asked to ping one that does not answer */
    uint32_t direct_ms;   /* an answer is expected within */
    uint32_t probe_ms;    /* and through relays within */
    uint32_t silence_ms;  /* from the first unanswered ping to death */
    uint32_t lone_factor; /* how much longer when nobody confirms */
    uint32_t forget_ms;   /* the dead are forgotten after */
    uint32_t revive_ms;   /* between pings to one of the dead */
};

/* What the owner does for it.  Neither may call back into the same swim. */
struct swim_effects {
    /* `to` is who it is for, lent; NULL where only the address is known.  The owner
     * may know a better way to it than `address`, which is what it says of itself. */
    void (*send)(void *arg, const struct swim_id *to, const struct swim_address *address,
                 const uint8_t *bytes, size_t n);
    /* `member` is what it is now, lent; `was` what this node thought before. */
    void (*event)(void *arg, const struct swim_member *member, enum swim_state was);
    uint64_t (*random)(void *arg);
};

struct swim;

/* Parameters for a LAN, of the cluster with that tag. */
struct swim_params swim_params_lan(uint64_t cluster);

/* A cluster of one.
 * self     copied; its state does not matter.  Its incarnation should be higher than in its
 *          earlier lives, such as the time in seconds: else peers that hold it for dead must tell
 *          it so before it can object
 * effects  borrowed until swim_free(); all must be set
 * Errors   ST_NOMEM; ST_RANGE a parameter is 0 */
enum status swim_new(const struct swim_params *params, const struct swim_member *self,
                     const struct swim_effects *effects, void *arg, uint64_t now_ns,
                     struct swim **ret_swim, struct err *err);
void swim_free(struct swim *swim);

/* Ask whoever is at `address` to be a peer.  To be repeated now and then for every
 * configured address of which no member is known: two nodes that both started
 * anew while they were cut off find each other through nothing else. */
void swim_join(struct swim *swim, const struct swim_address *address, uint64_t now_ns);

/* A member known from elsewhere, as from a file: pinged like any other, told to
 * nobody as news.  One that is known already stays as it is.
 * Errors  ST_NOMEM; ST_FULL there are SWIM_MEMBERS_MAX */
enum status swim_add(struct swim *swim, const struct swim_member *member, uint64_t now_ns,
                     struct err *err);

/* Ping that member now, as if its turn had come: something else says that it may be dead. */
void swim_doubt(struct swim *swim, const struct swim_id *id, uint64_t now_ns);

/* Tell the peers that this node goes.  It answers, but does not ping, from now on. */
void swim_leave(struct swim *swim, uint64_t now_ns);

/* Do what is due.  Returns when to be called next (later calls are noticed). */
uint64_t swim_tick(struct swim *swim, uint64_t now_ns);

/* Take a datagram that came from `from`.
 * Errors  ST_FORMAT  it is none of ours; nothing changed */
enum status swim_receive(struct swim *swim, const struct swim_address *from, const uint8_t *bytes,
                         size_t n, uint64_t now_ns, struct err *err);

/* Members, this node first: ret_members [capacity]; returns how many there are. */
size_t swim_members(const struct swim *swim, struct swim_member *ret_members, size_t capacity);

/* What this node thinks of one; SWIM_ABSENT if nothing. */
enum swim_state swim_state_of(const struct swim *swim, const struct swim_id *id);

/* Its incarnation; that of swim_add() until something was heard of the member; 0 if not known. */
uint32_t swim_incarnation_of(const struct swim *swim, const struct swim_id *id);

/* How many datagrams were sent to a member to be answered by it, and how many answers came from it: what is lost on
 * the way there and back, or came after its next ping, is the difference. */
void swim_pings(const struct swim *swim, const struct swim_id *id, uint64_t *ret_pings,
                uint64_t *ret_pongs);

/* This node's record. */
struct swim_member swim_self(const struct swim *swim);

const char *swim_state_word(enum swim_state state);

/* From the first unanswered ping to death where enough others confirm, among
 * `n_members` alive ones. */
uint64_t swim_silence_ns(const struct swim_params *params, size_t n_members);

#endif
