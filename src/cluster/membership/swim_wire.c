/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_wire.c - datagrams to and from bytes.
 *
 * Unpacking allocates from an arena inside struct swim: a datagram whose parts
 * do not fit there is refused, however it was made.
 */
#include <assert.h>
#include <string.h>

#include "cluster/membership/swim_priv.h"

enum { IPV4_BYTES = 4, IPV6_BYTES = 16, PORT_BYTES = 2, ALIGNMENT = 16 };

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff }; /* RFC 4291, section 2.5.5.2 */

/* One record as protobuf-c wants it, and the bytes it points to. */
struct packing {
    Wire__SwimRecord wire;
    uint8_t address[IPV6_BYTES + PORT_BYTES];
};

static void fill_record(struct packing *p, const struct record *record)
{
    const struct swim_member *m = &record->member;
    const bool is_v4 = memcmp(m->address.ip, mapped, sizeof(mapped)) == 0;
    const size_t n_ip = is_v4 ? IPV4_BYTES : IPV6_BYTES;

    memcpy(p->address, m->address.ip + (is_v4 ? sizeof(mapped) : 0), n_ip);
    p->address[n_ip] = (uint8_t)(m->address.port >> 8);
    p->address[n_ip + 1] = (uint8_t)m->address.port;
    wire__swim_record__init(&p->wire);
    p->wire.id.data = (uint8_t *)m->id.bytes;
    p->wire.id.len = SWIM_ID_BYTES;
    p->wire.address.data = p->address;
    p->wire.address.len = n_ip + PORT_BYTES;
    p->wire.incarnation = m->incarnation;
    p->wire.state = m->state;
    if (m->state != SWIM_SUSPECT)
        return;
    p->wire.silent_ms = record->silent_ms;
    p->wire.n_suspecters = record->n_suspecters;
    p->wire.suspecters = (uint32_t *)record->suspecters;
}

/* Tag, length and content of a record inside its datagram. */
static size_t framed_bytes(const struct packing *p)
{
    const size_t n = wire__swim_record__get_packed_size(&p->wire);

    return n + (n < 128 ? 2 : 3);
}

size_t datagram_pack(const struct swim *swim, const struct datagram *d, uint8_t *ret_bytes,
                     size_t *ret_n_records)
{
    struct packing from, target, records[RECORDS_MAX];
    Wire__SwimRecord *list[RECORDS_MAX];
    Wire__Swim wire = WIRE__SWIM__INIT;
    size_t n;

    wire.protocol = SWIM_PROTOCOL;
    wire.cluster = swim->params.cluster;
    wire.kind = d->kind;
    wire.sequence = d->sequence;
    wire.is_last = d->is_last;
    wire.to.data = (uint8_t *)d->to.bytes;
    wire.to.len = d->has_to ? SWIM_ID_BYTES : 0;
    wire.after.data = (uint8_t *)d->after.bytes;
    wire.after.len = d->has_after ? SWIM_ID_BYTES : 0;
    fill_record(&from, &d->from);
    wire.from = &from.wire;
    if (d->kind == WIRE__SWIM__KIND__ASK) {
        fill_record(&target, &d->target);
        wire.target = &target.wire;
    }
    n = wire__swim__get_packed_size(&wire);
    wire.records = list;
    for (size_t i = 0; i < d->n_records; i++) {
        fill_record(&records[i], &d->records[i]);
        n += framed_bytes(&records[i]);
        if (n > SWIM_DATAGRAM_MAX)
            break;
        list[wire.n_records++] = &records[i].wire;
    }
    if (ret_n_records)
        *ret_n_records = wire.n_records;
    n = wire__swim__pack(&wire, ret_bytes);
    assert(n <= SWIM_DATAGRAM_MAX);
    return n;
}

/* A stack of allocations, emptied by starting anew. */
struct arena {
    uint8_t *bytes;
    size_t n;
};

static void *arena_alloc(void *arg, size_t n)
{
    struct arena *arena = arg;
    void *p = arena->bytes + arena->n;

    if (n > ARENA_BYTES - ALIGNMENT)
        return NULL;
    n = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (n > ARENA_BYTES - arena->n)
        return NULL;
    arena->n += n;
    return p;
}

static void arena_free(void *arg, void *p)
{
    (void)arg;
    (void)p;
}

static bool take_id(const ProtobufCBinaryData *wire, struct swim_id *ret_id)
{
    if (wire->len != SWIM_ID_BYTES)
        return false;
    memcpy(ret_id->bytes, wire->data, SWIM_ID_BYTES);
    return true;
}

static bool take_address(const ProtobufCBinaryData *wire, struct swim_address *ret_address)
{
    const size_t n_ip = wire->len - PORT_BYTES;

    if (wire->len == IPV4_BYTES + PORT_BYTES)
        memcpy(ret_address->ip, mapped, sizeof(mapped));
    else if (wire->len != IPV6_BYTES + PORT_BYTES)
        return false;
    memcpy(ret_address->ip + sizeof(ret_address->ip) - n_ip, wire->data, n_ip);
    ret_address->port = (uint16_t)(wire->data[n_ip] << 8 | wire->data[n_ip + 1]);
    return ret_address->port != 0;
}

static bool take_record(const Wire__SwimRecord *wire, struct record *ret_record)
{
    struct swim_member *m = &ret_record->member;

    if (!take_id(&wire->id, &m->id) || !take_address(&wire->address, &m->address) ||
        wire->state < SWIM_ALIVE || wire->state > SWIM_LEFT ||
        wire->n_suspecters > SWIM_SUSPECTERS_MAX)
        return false;
    m->incarnation = wire->incarnation;
    m->state = (uint8_t)wire->state;
    ret_record->silent_ms = wire->silent_ms;
    ret_record->n_suspecters = (uint32_t)wire->n_suspecters;
    for (size_t i = 0; i < wire->n_suspecters; i++)
        ret_record->suspecters[i] = wire->suspecters[i];
    return m->state != SWIM_SUSPECT || wire->n_suspecters > 0;
}

static bool take(const struct swim *swim, const Wire__Swim *wire, struct datagram *d)
{
    if (wire->protocol != SWIM_PROTOCOL || wire->cluster != swim->params.cluster || !wire->from ||
        !take_record(wire->from, &d->from) || wire->n_records > RECORDS_MAX)
        return false;
    d->kind = wire->kind;
    d->sequence = wire->sequence;
    d->is_last = wire->is_last;
    d->has_to = wire->to.len > 0;
    d->has_after = wire->after.len > 0;
    if ((d->has_to && !take_id(&wire->to, &d->to)) ||
        (d->has_after && !take_id(&wire->after, &d->after)))
        return false;
    if (d->kind == WIRE__SWIM__KIND__ASK &&
        (!wire->target || !take_record(wire->target, &d->target)))
        return false;
    for (d->n_records = 0; d->n_records < wire->n_records; d->n_records++)
        if (!take_record(wire->records[d->n_records], &d->records[d->n_records]))
            return false;
    return true;
}

enum status datagram_unpack(struct swim *swim, const uint8_t *bytes, size_t n,
                            struct datagram *ret_datagram, struct err *err)
{
    struct arena arena = { .bytes = swim->arena };
    ProtobufCAllocator allocator = { arena_alloc, arena_free, &arena };
    const Wire__Swim *wire;

    if (n == 0 || n > SWIM_DATAGRAM_MAX)
        return err_set(err, ST_FORMAT, "a datagram of %zu bytes is none of a member", n);
    wire = wire__swim__unpack(&allocator, n, bytes);
    if (!wire || !take(swim, wire, ret_datagram))
        return err_set(err, ST_FORMAT, "a datagram of %zu bytes is none of this cluster", n);
    return ST_OK;
}
