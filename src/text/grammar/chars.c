/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/chars.c - sets of characters as graphs over the bytes of UTF-8.
 *
 * A range of characters is cut until all of a part's first bytes, second bytes and so on are
 * ranges that combine freely.  Parts that end alike share the nodes of their ends.
 *
 * Source  The Unicode Standard 16.0, table 3-7, which leaves out surrogates and long forms
 */
#include <stdlib.h>

#include "text/grammar/graph.h"

enum { TAILS_MAX = 1024, PARTS_MAX = 32 };

/* A node from which one range of bytes leads on. */
struct tail {
    uint32_t node, to;
    uint8_t low, high;
};

struct chars {
    struct graph *g;
    uint32_t from, to;
    struct tail tails[TAILS_MAX];
    size_t n_tails;
};

size_t utf8_write(uint32_t c, uint8_t *ret)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t leads[] = { 0, 0, 0xC0, 0xE0, 0xF0 };

    if (c > CHAR_LAST || (c >= 0xD800 && c <= 0xDFFF))
        return 0;
    for (size_t i = n - 1; i > 0; i--) {
        ret[i] = (uint8_t)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    ret[0] = (uint8_t)(leads[n] | c);
    return n;
}

static uint32_t tail_to(struct chars *s, uint8_t low, uint8_t high, uint32_t to)
{
    uint32_t node;

    for (size_t i = 0; i < s->n_tails; i++)
        if (s->tails[i].to == to && s->tails[i].low == low && s->tails[i].high == high)
            return s->tails[i].node;
    node = graph_node(s->g);
    graph_bytes(s->g, node, to, low, high);
    if (s->n_tails < TAILS_MAX)
        s->tails[s->n_tails++] = (struct tail){ node, to, low, high };
    return node;
}

/* Characters whose bytes combine freely. */
static void add_product(struct chars *s, uint32_t low, uint32_t high)
{
    uint8_t lows[4], highs[4];
    const size_t n = utf8_write(low, lows);
    uint32_t to = s->to;

    (void)utf8_write(high, highs);
    for (size_t i = n - 1; i > 0; i--)
        to = tail_to(s, lows[i], highs[i], to);
    graph_bytes(s->g, s->from, to, lows[0], highs[0]);
}

/* Where to cut low..high, whose characters have equally many bytes: the first part ends there;
 * `high` where it needs no cut. */
static uint32_t cut_of(uint32_t low, uint32_t high)
{
    if (high < 0x80)
        return high;
    for (unsigned bits = 6; bits <= 18; bits += 6) {
        const uint32_t mask = (1u << bits) - 1;

        if ((low & ~mask) == (high & ~mask))
            break;
        if ((low & mask) != 0)
            return low | mask;
        if ((high & mask) != mask)
            return (high & ~mask) - 1;
    }
    return high;
}

static void add_range(struct chars *s, uint32_t low, uint32_t high)
{
    static const uint32_t lasts[] = { 0x7F, 0x7FF, 0xD7FF, 0xDFFF, 0xFFFF, CHAR_LAST };
    struct char_range parts[PARTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(lasts) / sizeof(lasts[0]); i++) {
        const uint32_t first = i > 0 ? lasts[i - 1] + 1 : 0;
        const uint32_t a = low > first ? low : first, b = high < lasts[i] ? high : lasts[i];

        if (a <= b && lasts[i] != 0xDFFF)
            parts[n++] = (struct char_range){ a, b };
    }
    while (n > 0) {
        const struct char_range part = parts[--n];
        const uint32_t cut = cut_of(part.low, part.high);

        if (cut == part.high || n + 2 > PARTS_MAX) {
            add_product(s, part.low, part.high);
            continue;
        }
        parts[n++] = (struct char_range){ cut + 1, part.high };
        parts[n++] = (struct char_range){ part.low, cut };
    }
}

static int by_low(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;

    return (x->low > y->low) - (x->low < y->low);
}

/* Sorted, apart from each other. */
static size_t merge(struct char_range *ranges, size_t n)
{
    size_t n_kept = 0;

    qsort(ranges, n, sizeof(*ranges), by_low);
    for (size_t i = 0; i < n; i++) {
        struct char_range *last = n_kept > 0 ? &ranges[n_kept - 1] : NULL;

        if (last && ranges[i].low <= last->high + 1) {
            if (ranges[i].high > last->high)
                last->high = ranges[i].high;
        } else {
            ranges[n_kept++] = ranges[i];
        }
    }
    return n_kept;
}

void graph_chars(struct graph *g, uint32_t from, uint32_t to, struct char_range *ranges, size_t n,
                 bool is_not)
{
    struct chars s;
    uint32_t next = 0;

    s.g = g;
    s.from = from;
    s.to = to;
    s.n_tails = 0;
    n = n > 0 ? merge(ranges, n) : 0;
    if (!is_not) {
        for (size_t i = 0; i < n; i++)
            add_range(&s, ranges[i].low, ranges[i].high);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].low > next)
            add_range(&s, next, ranges[i].low - 1);
        next = ranges[i].high + 1;
    }
    if (next <= CHAR_LAST)
        add_range(&s, next, CHAR_LAST);
}
