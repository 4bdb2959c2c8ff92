/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/council_wire.c - messages and the file, to and from bytes.
 *
 * The file is 8 bytes of magic, 8 bytes XXH64 of the rest (little endian), and
 * a CouncilFile: a torn or rotten one is noticed, and is no file.
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "cluster/election/council_priv.h"

enum { MAGIC_BYTES = 8, SUM_BYTES = 8, HEAD_BYTES = MAGIC_BYTES + SUM_BYTES };

static const uint8_t magic[MAGIC_BYTES] = { 'p', 'o', 'm', 'c', 'n', 'c', 'l', '1' };

/* The records as protobuf-c wants them; points into the table. */
struct packing {
    Wire__Desired wire;
    Wire__DesiredRecord records[DESIRED_MAX];
    Wire__DesiredRecord *list[DESIRED_MAX];
};

static void fill_records(struct packing *p, const struct desired *desired)
{
    wire__desired__init(&p->wire);
    p->wire.records = p->list;
    p->wire.n_records = desired->n;
    for (size_t i = 0; i < desired->n; i++) {
        const struct desired_record *r = &desired->records[i];
        Wire__DesiredRecord *wire = p->list[i] = &p->records[i];

        wire__desired_record__init(wire);
        wire->model = (char *)r->model;
        wire->epoch = r->version.epoch;
        wire->index = r->version.index;
        wire->is_placed = r->is_placed;
        wire->value.data = r->value;
        wire->value.len = r->n_value;
    }
}

enum status council_pack(const struct council *council, const struct election_message *m,
                         bool with_records, uint8_t **ret_bytes, size_t *ret_n)
{
    Wire__Council wire = WIRE__COUNCIL__INIT;
    struct packing packing;

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
        fill_records(&packing, &council->desired);
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

enum status council_merge(struct council *council, const Wire__Desired *state, bool *ret_changed,
                          struct err *err)
{
    for (size_t i = 0; state && i < state->n_records; i++) {
        const Wire__DesiredRecord *wire = state->records[i];
        struct desired_record record = { .version = { wire->epoch, wire->index },
                                         .is_placed = wire->is_placed,
                                         .n_value = wire->value.len,
                                         .value = wire->value.data };
        enum status s;

        if (strlen(wire->model) >= sizeof(record.model))
            return err_set(err, ST_FORMAT, "a record has a name of %zu bytes", strlen(wire->model));
        memcpy(record.model, wire->model, strlen(wire->model) + 1);
        s = desired_merge(&council->desired, &record, ret_changed, err);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static void put_sum(uint8_t *to, uint64_t sum)
{
    for (int i = 0; i < SUM_BYTES; i++)
        to[i] = (uint8_t)(sum >> 8 * i);
}

enum status council_pack_file(const struct council *council, uint8_t **ret_bytes, size_t *ret_n)
{
    const struct election *e = &council->election;
    Wire__CouncilFile wire = WIRE__COUNCIL_FILE__INIT;
    struct packing packing;
    uint8_t *bytes;
    size_t n;

    fill_records(&packing, &council->desired);
    wire.epoch = e->epoch;
    if (e->vote != NO_VOTER)
        wire.voted_for = (char *)council->names[e->vote];
    wire.is_born = e->is_born;
    wire.state = &packing.wire;
    n = wire__council_file__get_packed_size(&wire);
    bytes = malloc(HEAD_BYTES + n);
    if (!bytes)
        return ST_NOMEM;
    (void)wire__council_file__pack(&wire, bytes + HEAD_BYTES);
    memcpy(bytes, magic, MAGIC_BYTES);
    put_sum(bytes + MAGIC_BYTES, XXH64(bytes + HEAD_BYTES, n, 0));
    *ret_bytes = bytes;
    *ret_n = HEAD_BYTES + n;
    return ST_OK;
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
    Wire__CouncilFile *wire = NULL;
    uint8_t sum[SUM_BYTES];
    bool is_changed = false;
    enum status s;

    if (n >= HEAD_BYTES) {
        put_sum(sum, XXH64(bytes + HEAD_BYTES, n - HEAD_BYTES, 0));
        if (memcmp(bytes, magic, MAGIC_BYTES) == 0 &&
            memcmp(bytes + MAGIC_BYTES, sum, SUM_BYTES) == 0)
            wire = wire__council_file__unpack(NULL, n - HEAD_BYTES, bytes + HEAD_BYTES);
    }
    if (!wire)
        return err_set(err, ST_FORMAT, "what was kept of the placements is damaged");
    s = council_merge(council, wire->state, &is_changed, err);
    if (s == ST_OK) {
        *ret_epoch = wire->epoch;
        *ret_vote = voter_named(council, wire->voted_for);
        *ret_is_born = wire->is_born;
    }
    wire__council_file__free_unpacked(wire, NULL);
    return s;
}
