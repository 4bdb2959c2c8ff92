/* SPDX-License-Identifier: Apache-2.0 */
/* contract/portion.c - deal heads, feed-forward rows and rows of the output matrix. */
#include "contract/portion.h"

static uint32_t largest(const double *x, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best])
            best = i;
    return best;
}

/* Give n_units to the members in proportion to weights, whole units; what rounding down leaves
 * goes to the largest remainders, the earlier of equals. */
static void deal(const double *weights, uint32_t n_members, uint32_t n_units, uint32_t *ret_units)
{
    double total = 0, rest[PORTION_MEMBERS_MAX];
    uint32_t n_left = n_units;

    for (uint32_t i = 0; i < n_members; i++)
        total += weights[i];
    for (uint32_t i = 0; i < n_members; i++) {
        const double quota = total > 0 ? n_units * (weights[i] / total) : 0;

        ret_units[i] = quota < n_left ? (uint32_t)quota : n_left;
        rest[i] = quota - ret_units[i];
        n_left -= ret_units[i];
    }
    for (; n_left > 0; n_left--) {
        const uint32_t i = largest(rest, n_members);

        ret_units[i]++;
        rest[i] -= 1;
    }
}

/* The same, and one at least to each of n_members <= n_units. */
static void deal_to_all(const double *weights, uint32_t n_members, uint32_t n_units,
                        uint32_t *ret_units)
{
    deal(weights, n_members, n_units, ret_units);
    for (uint32_t i = 0; i < n_members; i++) {
        uint32_t most = 0;

        if (ret_units[i] > 0)
            continue;
        for (uint32_t k = 1; k < n_members; k++)
            if (ret_units[k] > ret_units[most])
                most = k;
        ret_units[most]--;
        ret_units[i]++;
    }
}

/* What a member lacks of its share after its heads, in elements of a layer's matrices for each
 * hidden column. */
static void want_ff(const struct portion_whole *w, const uint32_t *shares, uint32_t n_members,
                    const uint32_t *heads, double *ret_weights)
{
    const double head = 2.0 * w->head_dim * (w->n_head / w->n_kv_head + 1.0); /* q, o; k, v */
    const double all = head * w->n_kv_head + 3.0 * w->n_ff;                   /* gate, up, down */
    double n_shares = 0;

    for (uint32_t i = 0; i < n_members; i++)
        n_shares += shares[i];
    for (uint32_t i = 0; i < n_members; i++) {
        const double lacks = all * shares[i] / n_shares - head * heads[i];

        ret_weights[i] = lacks > 0 ? lacks : 0;
    }
}

static uint32_t units_of(uint32_t n, uint32_t unit)
{
    return n / unit + (n % unit != 0);
}

static enum status check(const struct portion_whole *w, const uint32_t *shares, uint32_t n_members,
                         struct err *err)
{
    if (n_members == 0 || n_members > PORTION_MEMBERS_MAX)
        return err_set(err, ST_RANGE, "a team of %u members, 1 to %d are possible", n_members,
                       PORTION_MEMBERS_MAX);
    for (uint32_t i = 0; i < n_members; i++)
        if (shares[i] == 0 || shares[i] > PORTION_SHARE_MAX)
            return err_set(err, ST_RANGE, "a share of %u, 1 to %d are possible", shares[i],
                           PORTION_SHARE_MAX);
    if (w->n_kv_head == 0 || w->n_head % w->n_kv_head != 0)
        return err_set(err, ST_RANGE, "%u heads cannot share %u key/value heads evenly", w->n_head,
                       w->n_kv_head);
    if (units_of(w->n_ff, PORTION_FF_UNIT) < n_members ||
        units_of(w->n_vocab, PORTION_OUTPUT_UNIT) < n_members)
        return err_set(err, ST_RANGE,
                       "%u feed-forward rows and %u tokens are too few to be split over %u nodes",
                       w->n_ff, w->n_vocab, n_members);
    return ST_OK;
}

static uint32_t rows_at(uint32_t units, uint32_t unit, uint32_t n_rows)
{
    return (uint64_t)units * unit < n_rows ? units * unit : n_rows;
}

enum status portion_cut(const struct portion_whole *w, const uint32_t *shares, uint32_t n_members,
                        struct portion *ret_portions, struct err *err)
{
    uint32_t heads[PORTION_MEMBERS_MAX], ff[PORTION_MEMBERS_MAX], outputs[PORTION_MEMBERS_MAX];
    double weights[PORTION_MEMBERS_MAX];
    uint32_t head = 0, ff_units = 0, output_units = 0;
    const enum status s = check(w, shares, n_members, err);

    if (s != ST_OK)
        return s;
    for (uint32_t i = 0; i < n_members; i++)
        weights[i] = shares[i];
    deal(weights, n_members, w->n_kv_head, heads);
    deal_to_all(weights, n_members, units_of(w->n_vocab, PORTION_OUTPUT_UNIT), outputs);
    want_ff(w, shares, n_members, heads, weights);
    deal_to_all(weights, n_members, units_of(w->n_ff, PORTION_FF_UNIT), ff);
    for (uint32_t i = 0; i < n_members; i++) {
        struct portion *p = &ret_portions[i];

        *p = (struct portion){ .member = i,
                               .n_members = n_members,
                               .first_kv_head = head,
                               .n_kv_heads = heads[i],
                               .first_ff = ff_units * PORTION_FF_UNIT,
                               .first_output = output_units * PORTION_OUTPUT_UNIT };
        head += heads[i];
        ff_units += ff[i];
        output_units += outputs[i];
        p->n_ff = rows_at(ff_units, PORTION_FF_UNIT, w->n_ff) - p->first_ff;
        p->n_outputs = rows_at(output_units, PORTION_OUTPUT_UNIT, w->n_vocab) - p->first_output;
    }
    return ST_OK;
}
