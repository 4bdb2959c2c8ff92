/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/council.h - the voters: who leads, and what shall be placed.
 *
 * Puts election.h and state/desired.h together, bytes in and bytes out:
 *
 *   leader     council_propose() --> kept here --> next beat brings it to all
 *   others     merge, keep on disk, answer with the digest of what they have
 *   leader     a quorum has the same digest: decided() tells the proposer
 *
 * Every message brings the digest of the sender's records, and an answer brings
 * the records where the digests differ; so a candidate has merged everything
 * that any of its voters has before it leads, and whatever was decided once is
 * known to every later leader.  A proposal whose leader was lost may come to be
 * or not; the proposer is told that it is not known.
 *
 *   proposed --a quorum has it--> decided
 *        \---- leader no longer --> ST_PEER: it may be decided yet
 *
 * The list of voters is that of the configuration and the same everywhere: a
 * message from another list is refused, and nothing is decided across two.
 *
 * Threads  the owner's
 */
#ifndef POMONA_CLUSTER_ELECTION_COUNCIL_H
#define POMONA_CLUSTER_ELECTION_COUNCIL_H

#include "cluster/election/election.h"
#include "cluster/state/desired.h"
#include "contract/plan.h"

enum {
    COUNCIL_MESSAGE_MAX = 1 << 20, /* bytes */
    PROPOSALS_MAX = 32,            /* not decided yet */
};

struct council_effects {
    /* To the voter with that place in the list.  May be lost. */
    void (*send)(void *arg, uint32_t to, const uint8_t *bytes, size_t n);
    /* Keep the bytes in place of the last ones: on disk when it returns ST_OK. */
    enum status (*keep)(void *arg, const uint8_t *bytes, size_t n, struct err *err);
    void (*leader)(void *arg, uint64_t epoch, uint32_t leader); /* NO_VOTER: nobody */
    void (*changed)(void *arg);                                 /* the records did */
    /* ST_OK: a quorum has it.  ST_PEER: this node leads no more; it may be decided yet. */
    void (*decided)(void *arg, uint64_t ticket, enum status status);
    uint64_t (*random)(void *arg);
};

struct council;

struct council_options {
    const char *const *voters; /* [n_voters] names, in the order of the configuration */
    uint32_t n_voters;
    const char *self;
    struct election_params params;
};

/* options  borrowed, copied
 * kept     [n_kept] what keep() was given last; n_kept 0: this voter is new
 * effects  borrowed until council_free(); none may call back into the council
 * Errors   ST_RANGE   this node is no voter, or there are too many
 *          ST_FORMAT  `kept` is damaged: start without it, as after the loss of a disk */
enum status council_new(const struct council_options *options, const uint8_t *kept, size_t n_kept,
                        const struct council_effects *effects, void *arg, uint64_t now_ns,
                        struct council **ret_council, struct err *err);
void council_free(struct council *council);

uint64_t council_tick(struct council *council, uint64_t now_ns);

/* Hints, which may be wrong: voter `who` is there; every voter is; `who` is gone (election.h). */
void council_peer_up(struct council *council, uint32_t who);
void council_all_up(struct council *council, uint64_t now_ns);
void council_peer_lost(struct council *council, uint32_t who, uint64_t now_ns);

/* Errors  ST_FORMAT  it is none of this council's; nothing changed */
enum status council_receive(struct council *council, const uint8_t *bytes, size_t n,
                            uint64_t now_ns, struct err *err);

/* Place `model` as `value` [n_value] says, or unplace it (value NULL).
 * decided() follows, never inside this call.
 * Errors  ST_PEER   this node does not lead; the words say who does
 *         ST_FULL   too many placements, or too many proposals
 *         ST_IO     it could not be kept on this node's disk */
enum status council_propose(struct council *council, const char *model, const uint8_t *value,
                            size_t n_value, uint64_t *ret_ticket, struct err *err);

const struct desired *council_desired(const struct council *council);   /* lent */
const struct election *council_election(const struct council *council); /* lent */

#endif
