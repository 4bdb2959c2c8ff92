/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/pay.c - how many drafted tokens a step should check, so that drafting pays.
 *
 * A step's time is shape x pace.  The shape is what a size costs relative to
 * others; the pace follows what makes all of them slower together: longer
 * contexts, a busy machine, a hot one.  So a size that was measured a while
 * ago still compares with one measured now.
 */
#include "execute/spec/pay.h"

#include <math.h>

enum { EXACT_SIZES = 32, PER_OCTAVE = 8 };

static const double learning = 1.0 / 8;      /* of costs, and of a sequence's trust */
static const double learning_all = 1.0 / 64; /* of the trust a new sequence starts with */
static const double unknown_row = 0.1;       /* cost of a row, in steps, until it is measured */
static const double unknown_draft = 0.25;    /* of a token of the draft model, likewise */
static const double trust_min = 0.01, trust_max = 0.98;
static const double drift_to = 0.9, drift = 1.0 / 256;

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

void pay_init(struct pay *p)
{
    *p = (struct pay){
        .trust = { [PAY_LOOKUP_SHORT] = 0.3, [PAY_LOOKUP_LONG] = 0.7, [PAY_DRAFT_MODEL] = 0.7 },
    };
}

void pay_join(struct pay *p, struct pay_sequence *q)
{
    for (int i = 0; i < PAY_N_SOURCES; i++) {
        p->trust[i] += p->trust[i] < drift_to ? (drift_to - p->trust[i]) * drift : 0;
        q->trust[i] = p->trust[i];
    }
}

/* 1..32 are buckets 0..31; from there on every octave has eight. */
static uint32_t bucket_of(uint32_t n_rows)
{
    uint32_t octave = 0, bucket;

    if (n_rows <= EXACT_SIZES)
        return n_rows - 1;
    while (n_rows >> octave >= 2 * EXACT_SIZES)
        octave++;
    bucket = EXACT_SIZES + octave * PER_OCTAVE +
             (n_rows - ((uint32_t)EXACT_SIZES << octave)) / (EXACT_SIZES / PER_OCTAVE << octave);
    return bucket < PAY_BUCKETS ? bucket : PAY_BUCKETS - 1;
}

/* The smallest size in a bucket. */
static uint32_t size_of(uint32_t bucket)
{
    const uint32_t octave = (bucket - EXACT_SIZES) / PER_OCTAVE;

    if (bucket < EXACT_SIZES)
        return bucket + 1;
    return (EXACT_SIZES + (bucket - EXACT_SIZES) % PER_OCTAVE * (EXACT_SIZES / PER_OCTAVE))
           << octave;
}

static bool is_known(const struct pay *p, uint32_t bucket)
{
    return p->n_steps < p->known_until[bucket];
}

void pay_learn_drafting(struct pay *p, uint32_t n_tokens, uint64_t elapsed_ns)
{
    const double took = (double)elapsed_ns / n_tokens + 1;

    if (p->draft_ns <= 0)
        p->draft_ns = took;
    p->draft_ns *= 1 + (clamp(took / p->draft_ns, 0.5, 2) - 1) * learning;
}

/* Of one row, from the smallest size measured to `bucket`, the largest. */
static double row_price(const struct pay *p, uint32_t bucket)
{
    uint32_t first = 0;

    while (!is_known(p, first))
        first++;
    if (first == bucket || p->shape[bucket] < p->shape[first])
        return unknown_row * p->shape[bucket];
    return (p->shape[bucket] - p->shape[first]) / (size_of(bucket) - size_of(first));
}

/* Between the nearest sizes that were measured; beyond them by the price of a row. */
double pay_step_ns(const struct pay *p, uint32_t n_rows)
{
    const uint32_t at = bucket_of(n_rows);
    uint32_t below = at, above = at;
    double shape, part;

    while (below > 0 && !is_known(p, below))
        below--;
    while (above < PAY_BUCKETS && !is_known(p, above))
        above++;
    if (!is_known(p, below))
        return 0;
    shape = p->shape[below];
    if (above == PAY_BUCKETS) {
        shape += row_price(p, below) * (n_rows - size_of(below));
    } else if (above > below && p->shape[above] > shape) {
        part = (double)(n_rows - size_of(below)) / (size_of(above) - size_of(below));
        shape += (p->shape[above] - shape) * part;
    }
    return shape * p->pace_ns;
}

static void earn(struct pay *p, double ns)
{
    const double most = PAY_PURSE_STEPS * p->plain_ns;

    p->purse_ns = clamp(p->purse_ns + ns, -most, most);
}

/* The purse paid what the step was thought to cost; now that is known.  Not beyond a step: a
 * stall is not the drafts' fault. */
static void correct(struct pay *p, double took_ns, double expected_ns)
{
    if (expected_ns > 0)
        earn(p, -clamp(took_ns - expected_ns, -p->plain_ns, p->plain_ns));
}

/* One slow step moves nothing far, not even what it is the first to measure. */
void pay_learn_step(struct pay *p, uint32_t n_rows, uint64_t elapsed_ns, double expected_ns)
{
    const uint32_t bucket = bucket_of(n_rows);
    const double took = (double)elapsed_ns + 1, guess = pay_step_ns(p, n_rows);
    double ratio;

    if (p->pace_ns <= 0)
        p->pace_ns = took;
    if (!is_known(p, bucket)) {
        p->shape[bucket] = (guess > 0 ? clamp(took, guess / 2, guess * 2) : took) / p->pace_ns;
        p->n_measured[bucket] = 0;
    }
    if (p->n_measured[bucket] < PAY_MEASURES)
        p->n_measured[bucket]++;
    p->n_steps++;
    p->known_until[bucket] =
        p->n_steps + (p->n_measured[bucket] < PAY_MEASURES ? PAY_DOUBT_STEPS : PAY_STALE_STEPS);
    ratio = clamp(took / (p->shape[bucket] * p->pace_ns), 0.5, 2);
    p->shape[bucket] *= 1 + (ratio - 1) * learning;
    p->pace_ns *= 1 + (ratio - 1) * learning;
    correct(p, took, expected_ns);
}

/* What the step costs beyond `base_ns` with `n` rows more. */
static double cost_of(const struct pay *p, uint32_t n_rows, double base_ns, uint32_t n)
{
    const double more = pay_step_ns(p, n_rows + n) - base_ns;

    return more > 0 ? more : 0;
}

static double draft_cost(const struct pay *p, const struct pay_bid *bid)
{
    if (bid->source != PAY_DRAFT_MODEL)
        return 0;
    return p->draft_ns > 0 ? p->draft_ns : unknown_draft * p->token_ns;
}

/* How far the model may be asked: twice the largest size measured, so that the first steps
 * with drafts, whose cost is a guess, are small ones. */
static uint32_t n_ventured(const struct pay *p, uint32_t n_rows)
{
    uint32_t largest = PAY_BUCKETS - 1;

    while (largest > 0 && !is_known(p, largest))
        largest--;
    return 2 * size_of(largest) > n_rows ? 2 * size_of(largest) - n_rows : 0;
}

static void clear(struct pay_bid *bids, size_t n_bids)
{
    for (size_t i = 0; i < n_bids; i++) {
        bids[i].n_drafts = 0;
        bids[i].gain = bids[i].n_max > 0 ? bids[i].sequence->trust[bids[i].source] : 0;
    }
}

/* Give one draft more to the bid that gains most by it; NULL where none can take one. */
static struct pay_bid *raise(struct pay_bid *bids, size_t n_bids)
{
    struct pay_bid *best = NULL;

    for (size_t i = 0; i < n_bids; i++)
        if (bids[i].n_drafts < bids[i].n_max && (!best || bids[i].gain > best->gain))
            best = &bids[i];
    if (best) {
        best->n_drafts++;
        best->gain *= best->sequence->trust[best->source]; /* each stands only on the one before */
    }
    return best;
}

struct offer {
    double base_ns, plain_ns; /* the step without drafts; the same without prompt rows */
    uint32_t n_rows, n_decodes;
    uint32_t n_most; /* drafts */
};

/* The number of drafts, in the order of raise(), with the most expected tokens for a second. */
static uint32_t best_number(const struct pay *p, const struct offer *o, struct pay_bid *bids,
                            size_t n_bids, double *ret_cost_ns)
{
    double tokens = o->n_decodes, best_rate = tokens / o->plain_ns, drafting_ns = 0, rows_ns = 0;
    uint32_t best = 0;

    *ret_cost_ns = 0;
    for (uint32_t n = 1; n <= o->n_most; n++) {
        const struct pay_bid *raised = raise(bids, n_bids);
        double more_rows_ns, cost_ns;

        if (!raised)
            break;
        tokens += raised->gain / raised->sequence->trust[raised->source];
        drafting_ns += draft_cost(p, raised);
        more_rows_ns = cost_of(p, o->n_rows, o->base_ns, n);
        rows_ns = more_rows_ns > rows_ns ? more_rows_ns : rows_ns;
        cost_ns = rows_ns + drafting_ns;
        if (cost_ns > p->purse_ns)
            break;
        if (tokens / (o->plain_ns + cost_ns) > best_rate) {
            best_rate = tokens / (o->plain_ns + cost_ns);
            best = n;
            *ret_cost_ns = cost_ns;
        }
    }
    return best;
}

static void drift_up(struct pay_bid *bids, size_t n_bids)
{
    for (size_t i = 0; i < n_bids; i++) {
        double *trust = &bids[i].sequence->trust[bids[i].source];

        if (bids[i].n_max > 0 && bids[i].n_drafts == 0 && *trust < drift_to)
            *trust += (drift_to - *trust) * drift;
    }
}

uint32_t pay_choose(struct pay *p, uint32_t n_rows, uint32_t n_decodes, uint32_t n_spare,
                    struct pay_bid *bids, size_t n_bids)
{
    const uint32_t n_most = n_ventured(p, n_rows);
    const struct offer o = {
        .base_ns = pay_step_ns(p, n_rows),
        .plain_ns = pay_step_ns(p, n_decodes),
        .n_rows = n_rows,
        .n_decodes = n_decodes,
        .n_most = n_most < n_spare ? n_most : n_spare,
    };
    double cost_ns;
    uint32_t n;

    clear(bids, n_bids);
    if (!is_known(p, bucket_of(n_decodes)) || o.base_ns <= 0)
        return 0;
    if (!p->is_funded)
        p->purse_ns = o.plain_ns;
    p->is_funded = true;
    p->plain_ns = o.plain_ns;
    p->token_ns = o.plain_ns / n_decodes;
    earn(p, o.plain_ns * PAY_ALLOWANCE);
    n = best_number(p, &o, bids, n_bids, &cost_ns);
    clear(bids, n_bids);
    for (uint32_t i = 0; i < n; i++)
        (void)raise(bids, n_bids);
    p->purse_ns -= cost_ns;
    drift_up(bids, n_bids);
    return n;
}

bool pay_pays(const struct pay *p, enum pay_source source, uint32_t n_rows)
{
    struct pay_sequence anyone = { .trust = { 0 } };
    struct pay_bid bid = { .sequence = &anyone, .source = source, .n_max = PAY_DRAFTS_MAX };
    struct pay rich = *p;
    struct offer o = { .n_rows = n_rows, .n_decodes = 1, .n_most = PAY_DRAFTS_MAX };
    double cost_ns;

    o.base_ns = o.plain_ns = pay_step_ns(p, n_rows);
    if (o.base_ns <= 0)
        return false;
    anyone.trust[source] = p->trust[source];
    rich.purse_ns = HUGE_VAL;
    clear(&bid, 1);
    return best_number(&rich, &o, &bid, 1, &cost_ns) > 0;
}

/* One trial for each draft that stood, and one for the first that did not: those after it
 * were never put to the test. */
static void judge(double *trust, uint32_t n_drafts, uint32_t n_accepted, double rate)
{
    for (uint32_t i = 0; i < n_accepted; i++)
        *trust += (trust_max - *trust) * rate;
    if (n_accepted < n_drafts)
        *trust += (trust_min - *trust) * rate;
}

void pay_settle(struct pay *p, struct pay_sequence *q, enum pay_source source, uint32_t n_drafts,
                uint32_t n_accepted)
{
    judge(&q->trust[source], n_drafts, n_accepted, learning);
    judge(&p->trust[source], n_drafts, n_accepted, learning_all);
    earn(p, n_accepted * p->token_ns);
}
