/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_send.c - which records go into a datagram.
 *
 * First what this node thinks of the receiver, if it is not well of it: so a
 * suspect hears of its suspicion from whoever talks to it, and can object
 * (Lifeguard's buddy system, section IV-C).  Then news, each told a number of
 * times that grows with the logarithm of the members (SWIM, section 4.1), what
 * was told least recently first.  Then FILL_RECORDS members that are no news.
 */
#include <stdlib.h>
#include <string.h>

#include "cluster/membership/swim_priv.h"

enum { QUEUE_FIRST = 16, TELL_FACTOR = 4 };

/* Times that a record is told: TELL_FACTOR * ceil(log10(n + 1)). */
static uint8_t n_tells(const struct swim *swim)
{
    uint8_t n = TELL_FACTOR;

    for (uint32_t reach = 10; reach < swim->n_alive + 1; reach *= 10)
        n = (uint8_t)(n + TELL_FACTOR);
    return n;
}

static bool queue_grow(struct queue *q)
{
    const uint32_t capacity = q->capacity ? q->capacity * 2 : QUEUE_FIRST;
    uint32_t *slots;

    if (q->n < q->capacity)
        return true;
    slots = malloc(capacity * sizeof(*slots));
    if (!slots)
        return false;
    for (uint32_t i = 0; i < q->n; i++)
        slots[i] = q->slots[(q->first + i) & (q->capacity - 1)];
    free(q->slots);
    q->slots = slots;
    q->first = 0;
    q->capacity = capacity;
    return true;
}

/* News first.  Without memory it is not told here; the filler repairs that. */
void queue_push(struct swim *swim, uint32_t slot)
{
    struct queue *q = &swim->queue;
    const bool is_queued = swim->entries[slot].n_left > 0;

    if (!is_queued && !queue_grow(q))
        return;
    swim->entries[slot].n_left = n_tells(swim);
    if (is_queued)
        return;
    q->first = (q->first - 1) & (q->capacity - 1);
    q->slots[q->first] = slot;
    q->n++;
}

/* The first `n` were told: once less to go, and to the end. */
static void queue_told(struct swim *swim, size_t n)
{
    struct queue *q = &swim->queue;

    for (; n > 0; n--) {
        const uint32_t slot = q->slots[q->first];

        q->first = (q->first + 1) & (q->capacity - 1);
        q->n--;
        if (--swim->entries[slot].n_left == 0)
            continue;
        q->slots[(q->first + q->n) & (q->capacity - 1)] = slot;
        q->n++;
    }
}

struct record record_of(const struct swim *swim, uint32_t slot, uint64_t now_ns)
{
    const struct entry *e = &swim->entries[slot];
    struct record record = { .member = entry_member(e) };
    const struct suspicion *suspicion;

    if (e->state != SWIM_SUSPECT)
        return record;
    suspicion = suspicion_of(swim, slot);
    record.silent_ms =
        now_ns > suspicion->since_ns ? (uint32_t)((now_ns - suspicion->since_ns) / NS_PER_MS) : 0;
    record.n_suspecters = suspicion->n_suspecters;
    memcpy(record.suspecters, suspicion->suspecters, sizeof(record.suspecters));
    return record;
}

static void put(struct swim *swim, uint32_t slot, uint64_t now_ns)
{
    struct datagram *d = &swim->out;

    if (swim->entries[slot].state != SWIM_ABSENT && d->n_records < RECORDS_MAX)
        d->records[d->n_records++] = record_of(swim, slot, now_ns);
}

static void begin(struct swim *swim, Wire__Swim__Kind kind, uint32_t sequence, uint64_t now_ns)
{
    struct datagram *d = &swim->out;

    d->kind = kind;
    d->sequence = sequence;
    d->has_to = d->has_after = d->is_last = false;
    d->from = record_of(swim, 0, now_ns);
    d->n_records = 0;
}

static void put_about(struct swim *swim, uint32_t slot, uint64_t now_ns)
{
    if (slot != NO_SLOT && slot != 0)
        put(swim, slot, now_ns);
}

static void send_out(struct swim *swim, const struct swim_address *address, const uint8_t *bytes,
                     size_t n)
{
    swim->effects->send(swim->arg, swim->out.has_to ? &swim->out.to : NULL, address, bytes, n);
}

/* Pack and send; [first_news, + n_news) of the records came from the queue. */
static void finish(struct swim *swim, const struct swim_address *address, size_t first_news,
                   size_t n_news)
{
    uint8_t bytes[SWIM_DATAGRAM_MAX];
    size_t n_packed;
    const size_t n = datagram_pack(swim, &swim->out, bytes, &n_packed);

    if (n_packed > first_news)
        queue_told(swim, n_packed - first_news < n_news ? n_packed - first_news : n_news);
    send_out(swim, address, bytes, n);
}

/* Records of news, then of others, after those that are in already. */
static void fill_and_finish(struct swim *swim, const struct swim_address *address, uint64_t now_ns)
{
    const struct queue *q = &swim->queue;
    const size_t first_news = swim->out.n_records;
    size_t n_news = 0;

    for (; n_news < q->n && swim->out.n_records < RECORDS_MAX; n_news++)
        put(swim, q->slots[(q->first + n_news) & (q->capacity - 1)], now_ns);
    for (size_t i = 0; i < FILL_RECORDS && i + 1 < swim->n_entries; i++) {
        swim->fill_at = swim->fill_at + 1 < swim->n_entries ? swim->fill_at + 1 : 1;
        put(swim, swim->fill_at, now_ns);
    }
    finish(swim, address, first_news, n_news);
}

static void address_to(struct swim *swim, uint32_t to, uint64_t now_ns)
{
    swim->out.has_to = to != NO_SLOT;
    if (to == NO_SLOT)
        return;
    swim->out.to = swim->entries[to].id;
    if (swim->entries[to].state != SWIM_ALIVE)
        put(swim, to, now_ns);
}

void swim_send(struct swim *swim, Wire__Swim__Kind kind, uint32_t sequence, uint32_t to,
               uint32_t about, const struct swim_address *address, uint64_t now_ns)
{
    begin(swim, kind, sequence, now_ns);
    address_to(swim, to, now_ns);
    put_about(swim, about, now_ns);
    fill_and_finish(swim, address, now_ns);
}

void send_ask(struct swim *swim, uint32_t sequence, uint32_t relay, uint32_t target,
              uint64_t now_ns)
{
    begin(swim, WIRE__SWIM__KIND__ASK, sequence, now_ns);
    address_to(swim, relay, now_ns);
    swim->out.target = record_of(swim, target, now_ns);
    fill_and_finish(swim, &swim->entries[relay].address, now_ns);
}

void send_pull(struct swim *swim, uint32_t sequence, uint64_t now_ns)
{
    begin(swim, WIRE__SWIM__KIND__PULL, sequence, now_ns);
    swim->out.has_after = swim->pull.has_after;
    swim->out.after = swim->pull.after;
    finish(swim, &swim->pull.peer, 0, 0);
}

/* The members after the one that was asked for, as many as fit. */
void send_page(struct swim *swim, const struct swim_address *to, uint64_t now_ns)
{
    const struct datagram *in = &swim->in;
    uint32_t at = table_after(swim, in->has_after ? &in->after : NULL);
    uint8_t bytes[SWIM_DATAGRAM_MAX];
    size_t n_packed, n;

    begin(swim, WIRE__SWIM__KIND__PAGE, in->sequence, now_ns);
    for (; at < swim->n_entries && swim->out.n_records < RECORDS_MAX; at++)
        put(swim, swim->sorted[at], now_ns);
    swim->out.is_last = at == swim->n_entries;
    n = datagram_pack(swim, &swim->out, bytes, &n_packed);
    if (n_packed < swim->out.n_records && swim->out.is_last) {
        swim->out.is_last = false;
        n = datagram_pack(swim, &swim->out, bytes, &n_packed);
    }
    send_out(swim, to, bytes, n);
}
