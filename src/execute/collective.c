/* SPDX-License-Identifier: Apache-2.0 */
/* execute/collective.c - sums over the members of a team. */
#include "execute/collective.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "contract/portion.h"
#include "execute/sum_rows.h"

enum {
    PIECE_FLOATS = 1 << 18, /* summed at a time: 1 MiB */
    /* From here on the bytes that two rounds spare take longer than a round of 100 us: at
     * 1 Gbit/s, 12 KB. */
    TWO_ROUNDS_FLOATS = 16 << 10,
};

struct collective {
    struct collective_options o;
    uint32_t self;         /* which member */
    unsigned char *theirs; /* [n_members][piece_bytes]: what each sent, this one too */
    unsigned char *sent;   /* [piece_bytes]: sums on their way to all */
    float *sums;           /* [PIECE_FLOATS] */
    size_t piece_bytes;
    struct transport_swap all[PORTION_MEMBERS_MAX];
};

enum status collective_new(const struct collective_options *o, struct collective **ret_collective,
                           struct err *err)
{
    struct collective *c;

    if (o->n_members == 0 || o->n_members > PORTION_MEMBERS_MAX || o->ring->rank < o->first_rank ||
        o->ring->rank - o->first_rank >= o->n_members)
        return err_set(err, ST_RANGE, "rank %u is not one of %u members from rank %u on",
                       o->ring->rank, o->n_members, o->first_rank);
    c = calloc(1, sizeof(*c));
    if (c) {
        c->o = *o;
        c->self = o->ring->rank - o->first_rank;
        c->piece_bytes = sum_format_bytes(o->format, PIECE_FLOATS);
        c->theirs = calloc(o->n_members, c->piece_bytes);
        c->sent = calloc(1, c->piece_bytes);
        c->sums = calloc(PIECE_FLOATS, sizeof(float));
    }
    if (!c || !c->theirs || !c->sent || !c->sums) {
        collective_free(c);
        return err_set(err, ST_NOMEM, "buffers to sum over %u members", o->n_members);
    }
    *ret_collective = c;
    return ST_OK;
}

void collective_free(struct collective *c)
{
    if (!c)
        return;
    free(c->theirs);
    free(c->sent);
    free(c->sums);
    free(c);
}

static unsigned char *from_member(const struct collective *c, uint32_t member)
{
    return c->theirs + member * c->piece_bytes;
}

/* What one member has of [n] floats that are summed in two rounds, from *ret_first on: whole blocks,
 * so that formats of blocks can send it. */
static size_t part_of(const struct collective *c, uint32_t member, size_t n, size_t *ret_first)
{
    const size_t n_blocks = (n + SUM_BLOCK - 1) / SUM_BLOCK;
    const size_t end = n_blocks * (member + 1) / c->o.n_members * SUM_BLOCK;

    *ret_first = n_blocks * member / c->o.n_members * SUM_BLOCK;
    return size_min(end, n) - *ret_first;
}

static size_t bytes_of(const struct collective *c, size_t n)
{
    return sum_format_bytes(c->o.format, n);
}

/* One exchange with each other member, as `fill` says. */
typedef void fill_fn(const struct collective *c, size_t n, uint32_t member,
                     struct transport_swap *ret);

static enum status swap(struct collective *c, fill_fn *fill, size_t n, uint64_t deadline_ns,
                        struct err *err)
{
    size_t n_all = 0;

    for (uint32_t i = 0; i < c->o.n_members; i++) {
        if (i == c->self)
            continue;
        c->all[n_all].with = c->o.first_rank + i;
        fill(c, n, i, &c->all[n_all++]);
    }
    return transport_exchange(c->o.ring, c->all, n_all, deadline_ns, err);
}

/* sums = the members' [n] floats added in order; this one's, too, as the others got them. */
static void add_up(const struct collective *c, size_t n)
{
    sum_rows_unpack(c->o.format, from_member(c, 0), n, c->sums);
    for (uint32_t i = 1; i < c->o.n_members; i++)
        sum_rows_add(c->o.format, from_member(c, i), n, c->sums);
}

static void all_to_all(const struct collective *c, size_t n, uint32_t member,
                       struct transport_swap *ret)
{
    ret->out = from_member(c, c->self);
    ret->in = from_member(c, member);
    ret->n_out = ret->n_in = bytes_of(c, n);
}

static enum status one_round(struct collective *c, float *rows, size_t n, uint64_t deadline_ns,
                             struct err *err)
{
    enum status s;

    sum_rows_pack(c->o.format, rows, n, from_member(c, c->self));
    s = swap(c, all_to_all, n, deadline_ns, err);
    if (s != ST_OK)
        return s;
    add_up(c, n);
    memcpy(rows, c->sums, n * sizeof(*rows));
    return ST_OK;
}

/* Of `sent`, its part to each; this one's part from each. */
static void scatter(const struct collective *c, size_t n, uint32_t member,
                    struct transport_swap *ret)
{
    size_t first;

    ret->n_out = bytes_of(c, part_of(c, member, n, &first));
    ret->out = c->sent + bytes_of(c, first);
    ret->n_in = bytes_of(c, part_of(c, c->self, n, &first));
    ret->in = from_member(c, member);
}

/* The sums of this one's part, in `sent`, to each; those of its part from each. */
static void gather(const struct collective *c, size_t n, uint32_t member,
                   struct transport_swap *ret)
{
    size_t first;

    ret->n_out = bytes_of(c, part_of(c, c->self, n, &first));
    ret->out = c->sent + bytes_of(c, first);
    ret->n_in = bytes_of(c, part_of(c, member, n, &first));
    ret->in = c->sent + bytes_of(c, first);
}

static enum status two_rounds(struct collective *c, float *rows, size_t n, uint64_t deadline_ns,
                              struct err *err)
{
    size_t first;
    const size_t n_own = part_of(c, c->self, n, &first);
    unsigned char *own = c->sent + bytes_of(c, first);
    enum status s;

    sum_rows_pack(c->o.format, rows, n, c->sent);
    s = swap(c, scatter, n, deadline_ns, err);
    if (s != ST_OK)
        return s;
    memcpy(from_member(c, c->self), own, bytes_of(c, n_own));
    add_up(c, n_own);
    sum_rows_pack(c->o.format, c->sums, n_own, own);
    s = swap(c, gather, n, deadline_ns, err);
    if (s == ST_OK)
        sum_rows_unpack(c->o.format, c->sent, n, rows);
    return s;
}

enum status collective_sum(void *arg, float *rows, size_t n_floats, struct err *err)
{
    struct collective *c = arg;
    const uint64_t deadline_ns = deadline_after_ms(c->o.deadline_ms);
    const bool is_long = c->o.n_members > 2 && n_floats >= TWO_ROUNDS_FLOATS;
    enum status s = ST_OK;

    for (size_t at = 0; s == ST_OK && at < n_floats; at += PIECE_FLOATS) {
        const size_t n = size_min(PIECE_FLOATS, n_floats - at);

        s = (is_long ? two_rounds : one_round)(c, rows + at, n, deadline_ns, err);
    }
    return s;
}
