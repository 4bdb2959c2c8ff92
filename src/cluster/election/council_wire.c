/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/council_wire.c - a voter's messages and its file, to and from bytes. */
#include <stdlib.h>
#include <string.h>

#include "cluster/election/council_priv.h"
#include "cluster/state/desired_wire.h"

enum status council_pack(const struct council *council, const struct election_message *m,
                         bool with_records, uint8_t **ret_bytes, size_t *ret_n)
{
    Wire__Council wire = WIRE__COUNCIL__INIT;
    struct desired_packing packing;

    wire.protocol = COUNCIL_PROTOCOL;
    wire.voters = council->voters;
    wire.kind = (Wire__Council__Kind)m->kind;
    wire.from = m->from;
    wire.epoch = m->epoch;
    wire.round = m->round;
    wire.is_granted = m->is_granted;
    wire.is_born = m->is_born;
    wire.digest = council->kept_digest;
    if (with_records) {
        desired_to_wire(&council->desired, &packing);
        wire.state = &packing.wire;
    }
    *ret_n = wire__council__get_packed_size(&wire);
    *ret_bytes = malloc(*ret_n);
    if (!*ret_bytes)
        return ST_NOMEM;
    (void)wire__council__pack(&wire, *ret_bytes);
    return ST_OK;
}

enum status council_unpack(const struct council *council, const uint8_t *bytes, size_t n,
                           Wire__Council **ret_wire, struct election_message *ret_message,
                           struct err *err)
{
    Wire__Council *wire = n <= COUNCIL_MESSAGE_MAX ? wire__council__unpack(NULL, n, bytes) : NULL;

    if (!wire)
        return err_set(err, ST_FORMAT, "%zu bytes are no message of a voter", n);
    if (wire->protocol != COUNCIL_PROTOCOL || wire->voters != council->voters ||
        wire->from >= council->n_voters || (int)wire->kind < ELECTION_POLL ||
        (int)wire->kind > ELECTION_BEATEN ||
        (wire->state && wire->state->n_records > DESIRED_MAX)) {
        wire__council__free_unpacked(wire, NULL);
        return err_set(err, ST_FORMAT,
                       "a message of a voter is of another version or another list of voters");
    }
    *ret_message = (struct election_message){ .kind = (enum election_kind)wire->kind,
                                              .from = wire->from,
                                              .epoch = wire->epoch,
                                              .round = wire->round,
                                              .is_granted = wire->is_granted,
                                              .is_born = wire->is_born };
    *ret_wire = wire;
    return ST_OK;
}

enum status council_pack_file(const struct council *council, uint8_t **ret_bytes, size_t *ret_n)
{
    const struct election *e = &council->election;
    struct desired_kept kept = { .epoch = e->epoch, .is_born = e->is_born };

    if (e->vote != NO_VOTER)
        memcpy(kept.voted_for, council->names[e->vote], sizeof(kept.voted_for));
    return desired_pack_file(&council->desired, &kept, ret_bytes, ret_n);
}

/* A vote for a node that is no voter any more cannot be given to another either. */
static uint32_t voter_named(const struct council *council, const char *name)
{
    for (uint32_t i = 0; i < council->n_voters; i++)
        if (strcmp(council->names[i], name) == 0)
            return i;
    return NO_VOTER;
}

enum status council_unpack_file(struct council *council, const uint8_t *bytes, size_t n,
                                uint64_t *ret_epoch, uint32_t *ret_vote, bool *ret_is_born,
                                struct err *err)
{
    struct desired_kept kept = { 0 };
    const enum status s = desired_unpack_file(bytes, n, &council->desired, &kept, err);

    if (s != ST_OK)
        return s;
    *ret_epoch = kept.epoch;
    *ret_vote = voter_named(council, kept.voted_for);
    *ret_is_born = kept.is_born;
    return ST_OK;
}
