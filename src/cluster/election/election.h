/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/election.h - who leads, and in which epoch.
 *
 * The voters are the nodes of the configuration, the same list on each.  An
 * epoch has one leader at most: a voter votes once in each, and keeps its vote
 * on disk before it says so.
 *
 *            others answered            nobody leads          a quorum would
 *  +---------+          +----------+                 +----------+     +-----------+
 *  | newborn | -------> | follower | --------------> | prospect | --> | candidate |
 *  +---------+          +----------+                 +----------+     +-----------+
 *                        ^  ^  ^  ^  round is over        |             |     |
 *                        |  |  |  +-----------------------+             |     | a quorum
 *                        |  |  +----------------------------------------+     | voted
 *                        |  |   round is over, somebody leads                 v
 *                        |  +--------------------------------------------- +--------+
 *                        |      a higher epoch; no quorum for election_ms  | leader |
 *                        +------------------------------------------------ +--------+
 *
 * Quorum    more than half of the voters, or exactly half of them with the
 *           first.  Any two quorums share a voter.
 *           One voter: it leads alone.  Two: the first of them leads, with the
 *           other or without; the second cannot lead without the first.  Three:
 *           any two.  Four: any three, or two with the first.
 * Without   there is no leader: what is placed stays and serves, nothing is
 * a quorum  placed, moved or unplaced, and who asks is told so.
 * Prospect  asks first whether it would be voted for, and only then begins an
 *           epoch; a node that was cut off does not unseat a leader when it
 *           comes back (Ongaro 2014, "Consensus: Bridging Theory and Practice",
 *           section 9.6).  For the same reason a voter that heard of a leader
 *           within election_ms votes for nobody (section 4.2.3).
 * Newborn   a voter without a file: a new one, or one that lost its disk and so
 *           does not know how it voted.  It waits until every vote that it may
 *           have given is counted or void (quarantine_ms), then votes after it
 *           heard a quorum of the others, or, at the birth of a cluster, a majority that never had
 *           a leader.  It waits for nothing once it heard all of the others: whom it had voted for
 *           knows of the epoch in which it stood, and in epochs that anybody knows a newborn does
 *           not vote.  Nor once each said that it never had a leader, or is newborn itself; each may
 *           say so at another time, as whoever stands later asks this life for its vote.
 *           So the loss of disks does no harm as long as voters with theirs are a quorum.
 * Hints     the owner may know more than beats tell: that a voter or every voter is there, that
 *           the leader is gone (election_peer_up(), election_all_up(), election_peer_lost()).
 *           They only say when to ask and stand, so a wrong one costs a round.  The first of the
 *           list stands first, lest they collide.
 *
 * Pure: time and random numbers are given; what is to be kept and sent is
 * returned through effects.  election/council.h puts it together with the
 * records of state/desired.h.
 *
 * Source   Ongaro, Ousterhout 2014, "In Search of an Understandable Consensus
 *          Algorithm": sections 5.1, 5.2
 * Threads  the owner's
 */
#ifndef POMONA_CLUSTER_ELECTION_ELECTION_H
#define POMONA_CLUSTER_ELECTION_ELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { VOTERS_MAX = 64, NO_VOTER = VOTERS_MAX };

enum election_role {
    ELECTION_NEWBORN,
    ELECTION_FOLLOWER,
    ELECTION_PROSPECT,
    ELECTION_CANDIDATE,
    ELECTION_LEADER,
};

enum election_kind { /* as in council.proto */
                     ELECTION_POLL = 1,
                     ELECTION_POLLED,
                     ELECTION_WOULD,
                     ELECTION_WOULD_VOTE,
                     ELECTION_VOTE,
                     ELECTION_VOTED,
                     ELECTION_BEAT,
                     ELECTION_BEATEN,
};

struct election_message {
    enum election_kind kind;
    uint32_t from; /* voter */
    uint64_t epoch;
    uint32_t round;
    bool is_granted, is_born;
};

struct election_params {
    uint32_t beat_ms;       /* between a leader's beats */
    uint32_t election_ms;   /* a leader is gone after silence of one to two times this */
    uint32_t round_ms;      /* votes are counted within */
    uint32_t quarantine_ms; /* of a newborn: longer than any round takes */
};

struct election_effects {
    void (*send)(void *arg, uint32_t to, const struct election_message *message);
    /* Keep epoch, vote and birth: on disk when it returns ST_OK. */
    enum status (*save)(void *arg);
    /* Somebody else leads, or nobody (NO_VOTER), or this node. */
    void (*leader)(void *arg, uint64_t epoch, uint32_t leader);
    uint64_t (*random)(void *arg);
};

struct election {
    struct election_params params;
    const struct election_effects *effects;
    void *arg;
    uint32_t self, n_voters;

    /* on disk */
    uint64_t epoch; /* highest accepted */
    uint32_t vote;  /* in that epoch; NO_VOTER */
    bool is_born;

    enum election_role role;
    uint32_t leader; /* of the epoch; NO_VOTER: not known */
    uint32_t round;
    uint64_t granted; /* mask: who answered this round with yes */
    uint64_t polled,
        polled_leaderless; /* newborn: who answered; which of them never had a leader */
    uint64_t unstood;      /* newborn: who never stood or voted, when it answered any poll */
    uint64_t polled_epoch;
    uint64_t polled_ns;            /* newborn: when it asked; what it hears is no older */
    uint64_t born_after_ns;        /* newborn: end of the quarantine */
    uint64_t due_ns;               /* follower: when to stand; others: end of the round */
    uint64_t beat_ns;              /* leader: next beat; newborn: next poll */
    uint64_t leader_heard_ns;      /* 0: never */
    uint64_t heard_ns[VOTERS_MAX]; /* leader: last answer of each */
};

struct election_params election_params_default(void);

/* `election` begins with what was kept: epoch, vote, is_born; a newborn with
 * 0, NO_VOTER, false.  effects  borrowed until the end.
 * Errors  ST_RANGE  no voter, too many, or this one is not among them */
enum status election_init(struct election *election, const struct election_params *params,
                          uint32_t self, uint32_t n_voters, uint64_t epoch, uint32_t vote,
                          bool is_born, const struct election_effects *effects, void *arg,
                          uint64_t now_ns, struct err *err);

/* Do what is due; returns when to be called next. */
uint64_t election_tick(struct election *election, uint64_t now_ns);

void election_receive(struct election *election, const struct election_message *message,
                      uint64_t now_ns);

/* Hints: that voter is there; every other voter is; that one is not. */
void election_peer_up(struct election *election, uint32_t voter);
void election_all_up(struct election *election, uint64_t now_ns);
void election_peer_lost(struct election *election, uint32_t voter, uint64_t now_ns);

/* The leader's next beat goes out with the next tick. */
void election_hurry(struct election *election);

/* Whether `voters`, a mask, are a quorum of `n_voters`. */
bool election_is_quorum(uint64_t voters, uint32_t n_voters);

/* What becomes of a command of `epoch` where epoch `known` is the last one heard of; knows_leader: its
 * sender is known to lead. */
enum command_verdict { COMMAND_OBEYED, COMMAND_OVER, COMMAND_OF_STRANGER };
enum command_verdict election_check(uint64_t known, uint64_t epoch, bool knows_leader);

const char *election_role_word(enum election_role role);

#endif
