/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/council_priv.h - what council.c and council_wire.c share. */
#ifndef POMONA_CLUSTER_ELECTION_COUNCIL_PRIV_H
#define POMONA_CLUSTER_ELECTION_COUNCIL_PRIV_H

#include "cluster/council.pb-c.h"
#include "cluster/election/council.h"

enum { COUNCIL_PROTOCOL = 1 };

struct proposal {
    uint64_t ticket;
    struct desired_version version;
};

struct council {
    struct election election;
    struct desired desired;
    uint64_t kept_digest; /* of the records on disk: what peers may count on */
    const struct council_effects *effects;
    void *arg;

    char names[VOTERS_MAX][NODE_NAME_MAX];
    uint32_t n_voters;
    uint64_t voters; /* digest of the list */

    uint64_t peer_digest[VOTERS_MAX]; /* last told by each */
    uint64_t peer_epoch[VOTERS_MAX];  /* in which */
    bool is_answering_other;          /* the message being answered had another digest */

    uint64_t index; /* of this leader's decisions */
    uint64_t last_ticket;
    struct proposal proposals[PROPOSALS_MAX];
    size_t n_proposals;
};

/* A message with its records, if `with_records`.  ret_bytes is given; free().
 * Errors  ST_NOMEM */
enum status council_pack(const struct council *council, const struct election_message *message,
                         bool with_records, uint8_t **ret_bytes, size_t *ret_n);

/* ret_wire is given; release with wire__council__free_unpacked().
 * Errors  ST_FORMAT */
enum status council_unpack(const struct council *council, const uint8_t *bytes, size_t n,
                           Wire__Council **ret_wire, struct election_message *ret_message,
                           struct err *err);

/* What is kept on disk, with a checksum.  ret_bytes is given; free(). */
enum status council_pack_file(const struct council *council, uint8_t **ret_bytes, size_t *ret_n);
/* Fills council->desired and the three facts of the election. */
enum status council_unpack_file(struct council *council, const uint8_t *bytes, size_t n,
                                uint64_t *ret_epoch, uint32_t *ret_vote, bool *ret_is_born,
                                struct err *err);

#endif
