/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/desired_wire.c - records to and from messages and the file. */
#include "cluster/state/desired_wire.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAGIC_BYTES = 8, SUM_BYTES = 8, HEAD_BYTES = MAGIC_BYTES + SUM_BYTES };

static const uint8_t magic[MAGIC_BYTES] = { 'p', 'o', 'm', 'c', 'n', 'c', 'l', '1' };

void desired_to_wire(const struct desired *desired, struct desired_packing *p)
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

enum status desired_from_wire(struct desired *desired, const Wire__Desired *state,
                              bool *ret_changed, struct err *err)
{
    if (state && state->n_records > DESIRED_MAX)
        return err_set(err, ST_FORMAT, "%zu records of placements are too many", state->n_records);
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
        s = desired_merge(desired, &record, ret_changed, err);
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

enum status desired_pack_file(const struct desired *desired, const struct desired_kept *kept,
                              uint8_t **ret_bytes, size_t *ret_n)
{
    Wire__CouncilFile wire = WIRE__COUNCIL_FILE__INIT;
    struct desired_packing packing;
    uint8_t *bytes;
    size_t n;

    desired_to_wire(desired, &packing);
    wire.epoch = kept->epoch;
    wire.voted_for = (char *)kept->voted_for;
    wire.is_born = kept->is_born;
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

enum status desired_unpack_file(const uint8_t *bytes, size_t n, struct desired *desired,
                                struct desired_kept *ret_kept, struct err *err)
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
    if (!wire || strlen(wire->voted_for) >= sizeof(ret_kept->voted_for)) {
        wire__council_file__free_unpacked(wire, NULL);
        return err_set(err, ST_FORMAT, "what was kept of the placements is damaged");
    }
    s = desired_from_wire(desired, wire->state, &is_changed, err);
    if (s == ST_OK) {
        ret_kept->epoch = wire->epoch;
        memcpy(ret_kept->voted_for, wire->voted_for, strlen(wire->voted_for) + 1);
        ret_kept->is_born = wire->is_born;
    }
    wire__council_file__free_unpacked(wire, NULL);
    return s;
}
