/* SPDX-License-Identifier: Apache-2.0 */
/* execute/collective.c - sums over the members of a team. */
#include "execute/collective.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "contract/portion.h"

enum {
    PIECE_FLOATS = 1 << 18, /* summed at a time: 1 MiB */
    /* From here on the bytes that two rounds spare take longer than a round of 100 us: at
     * 1 Gbit/s, 12 KB. */
    TWO_ROUNDS_FLOATS = 16 << 10,
};

struct collective {
    struct collective_options o;
    uint32_t self; /* which member */
    float *theirs; /* [n_members][PIECE_FLOATS]: what the others sent */
    float *sums;   /* [PIECE_FLOATS] */
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
        c->theirs = calloc((size_t)o->n_members * PIECE_FLOATS, sizeof(float));
        c->sums = calloc(PIECE_FLOATS, sizeof(float));
    }
    if (!c || !c->theirs || !c->sums) {
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
    free(c->sums);
    free(c);
}

static float *from_member(const struct collective *c, uint32_t member)
{
    return c->theirs + (size_t)member * PIECE_FLOATS;
}

/* What one member has of [n] floats that are summed in two rounds, from *ret_first on. */
static size_t part_of(const struct collective *c, uint32_t member, size_t n, size_t *ret_first)
{
    *ret_first = n * member / c->o.n_members;
    return n * (member + 1) / c->o.n_members - *ret_first;
}

/* One exchange with each other member, as `fill` says. */
typedef void fill_fn(const struct collective *c, float *rows, size_t n, uint32_t member,
                     struct transport_swap *ret);

static enum status swap(struct collective *c, fill_fn *fill, float *rows, size_t n,
                        uint64_t deadline_ns, struct err *err)
{
    size_t n_all = 0;

    for (uint32_t i = 0; i < c->o.n_members; i++) {
        if (i == c->self)
            continue;
        c->all[n_all].with = c->o.first_rank + i;
        fill(c, rows, n, i, &c->all[n_all++]);
    }
    return transport_exchange(c->o.ring, c->all, n_all, deadline_ns, err);
}

/* sums = the members' [n] floats added in order; those of this one are `own`. */
static void add_up(const struct collective *c, const float *own, size_t n, float *restrict sums)
{
    for (uint32_t i = 0; i < c->o.n_members; i++) {
        const float *restrict x = i == c->self ? own : from_member(c, i);

        if (i == 0)
            memcpy(sums, x, n * sizeof(*sums));
        else
            for (size_t k = 0; k < n; k++)
                sums[k] += x[k];
    }
}

static void all_to_all(const struct collective *c, float *rows, size_t n, uint32_t member,
                       struct transport_swap *ret)
{
    ret->out = (const unsigned char *)rows;
    ret->in = (unsigned char *)from_member(c, member);
    ret->n_out = ret->n_in = n * sizeof(*rows);
}

static enum status one_round(struct collective *c, float *rows, size_t n, uint64_t deadline_ns,
                             struct err *err)
{
    const enum status s = swap(c, all_to_all, rows, n, deadline_ns, err);

    if (s != ST_OK)
        return s;
    add_up(c, rows, n, c->sums);
    memcpy(rows, c->sums, n * sizeof(*rows));
    return ST_OK;
}

/* Its part to each, this one's part from each. */
static void scatter(const struct collective *c, float *rows, size_t n, uint32_t member,
                    struct transport_swap *ret)
{
    size_t first;

    ret->n_out = part_of(c, member, n, &first) * sizeof(*rows);
    ret->out = (const unsigned char *)(rows + first);
    ret->n_in = part_of(c, c->self, n, &first) * sizeof(*rows);
    ret->in = (unsigned char *)from_member(c, member);
}

/* The sums of this one's part to each, those of its part from each. */
static void gather(const struct collective *c, float *rows, size_t n, uint32_t member,
                   struct transport_swap *ret)
{
    size_t first;

    ret->n_out = part_of(c, c->self, n, &first) * sizeof(*rows);
    ret->out = (const unsigned char *)(rows + first);
    ret->n_in = part_of(c, member, n, &first) * sizeof(*rows);
    ret->in = (unsigned char *)(rows + first);
}

static enum status two_rounds(struct collective *c, float *rows, size_t n, uint64_t deadline_ns,
                              struct err *err)
{
    size_t first;
    const size_t n_own = part_of(c, c->self, n, &first);
    const enum status s = swap(c, scatter, rows, n, deadline_ns, err);

    if (s != ST_OK)
        return s;
    add_up(c, rows + first, n_own, c->sums);
    memcpy(rows + first, c->sums, n_own * sizeof(*rows));
    return swap(c, gather, rows, n, deadline_ns, err);
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
