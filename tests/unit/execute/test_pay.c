/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_pay.c - drafting gains where it can, and costs a few percent where it cannot.
 *
 * A made-up machine, on which a step of n rows takes 1 + price * (n - 1) units,
 * generates texts of which it is known whether a draft would stand.  Time is
 * arithmetic, so the figures are exact.
 */
#include "support/check.h"

#include "execute/spec/pay.h"

enum { STREAMS_MAX = 32 };

/* Would the draft for token number `at` of a text stand? */
typedef bool text_fn(uint32_t at);

static bool never(uint32_t at)
{
    (void)at;
    return false;
}

static bool always(uint32_t at)
{
    (void)at;
    return true;
}

static bool by_turns(uint32_t at)
{
    return at / 100 % 2 == 0;
}

/* Long enough runs to be trusted, then nothing: what fools a moving average most. */
static bool in_bursts(uint32_t at)
{
    return at % 40 < 12;
}

static bool later(uint32_t at)
{
    return at >= 2000;
}

static bool mostly(uint32_t at)
{
    return (at * 2654435761u >> 16) % 100 < 70;
}

struct machine {
    double price; /* of a row, in steps */
    double noise; /* times take up to so much longer */
    uint32_t n_streams;
    enum pay_source source;
    double draft_price; /* of a token of the draft model, in steps */
    uint32_t random;
};

struct result {
    double speed; /* tokens for a unit of time, over those without drafts */
    uint32_t n_drafted;
};

static double unit_ns = 1e6;

static double step_units(const struct machine *m, uint32_t n_rows)
{
    return 1 + m->price * (n_rows - 1);
}

static uint64_t measured_ns(struct machine *m, double units)
{
    m->random = m->random * 1664525u + 1013904223u;
    return (uint64_t)(units * unit_ns * (1 + m->noise * (m->random >> 8) / 16777216.0));
}

static uint32_t run_accepted(text_fn *text, uint32_t at, uint32_t n_drafts)
{
    uint32_t n = 0;

    while (n < n_drafts && text(at + n))
        n++;
    return n;
}

struct stream {
    struct pay_sequence pay;
    uint32_t n_tokens;
};

/* One step of every stream; returns its time in units. */
static double step(struct pay *p, struct machine *m, text_fn *text, struct stream *streams,
                   struct result *r)
{
    struct pay_bid bids[STREAMS_MAX];
    uint32_t n, n_left;
    double units, expected_ns;

    for (uint32_t i = 0; i < m->n_streams; i++)
        bids[i] = (struct pay_bid){ .sequence = &streams[i].pay,
                                    .source = m->source,
                                    .n_max = PAY_DRAFTS_MAX };
    n = n_left = pay_choose(p, m->n_streams, m->n_streams, 32, bids, m->n_streams);
    assert_true(n <= 32);
    expected_ns = n > 0 ? pay_step_ns(p, m->n_streams + n) : 0;
    r->n_drafted += n;
    units = step_units(m, m->n_streams + n) + m->draft_price * n;
    for (uint32_t i = 0; i < m->n_streams; i++) {
        const uint32_t stood = run_accepted(text, streams[i].n_tokens, bids[i].n_drafts);

        assert_true(bids[i].n_drafts <= PAY_DRAFTS_MAX);
        n_left -= bids[i].n_drafts;
        if (bids[i].n_drafts > 0)
            pay_settle(p, &streams[i].pay, m->source, bids[i].n_drafts, stood);
        streams[i].n_tokens += stood + 1;
    }
    assert_int_equal(n_left, 0);
    if (m->draft_price > 0)
        pay_learn_drafting(p, 4, measured_ns(m, 4 * m->draft_price));
    pay_learn_step(p, m->n_streams + n, measured_ns(m, step_units(m, m->n_streams + n)),
                   expected_ns);
    return units;
}

static struct result run(struct pay *p, struct machine m, text_fn *text, uint32_t from,
                         uint32_t n_tokens)
{
    struct stream streams[STREAMS_MAX];
    struct result r = { 0 };
    double units = 0;
    uint64_t total = 0;

    for (uint32_t i = 0; i < m.n_streams; i++) {
        streams[i] = (struct stream){ .n_tokens = from + i * 17 };
        pay_join(p, &streams[i].pay);
    }
    for (uint64_t made = 0; made < (uint64_t)n_tokens * m.n_streams;) {
        units += step(p, &m, text, streams, &r);
        made = 0;
        for (uint32_t i = 0; i < m.n_streams; i++)
            made += streams[i].n_tokens - from - i * 17;
        total = made;
    }
    r.speed = (double)total / units / (m.n_streams / step_units(&m, m.n_streams));
    return r;
}

static struct result run_fresh(struct machine m, text_fn *text, uint32_t n_tokens)
{
    struct pay p;

    pay_init(&p);
    return run(&p, m, text, 0, n_tokens);
}

static const double prices[] = { 0.01, 0.05, 0.2, 0.5, 0.9, 1 };

enum { N_PRICES = sizeof(prices) / sizeof(prices[0]) };

static void assert_costs_little(text_fn *text, uint32_t n_streams, double noise)
{
    for (int i = 0; i < N_PRICES; i++)
        for (int source = 0; source < PAY_N_SOURCES; source++) {
            const struct machine m = { .price = prices[i],
                                       .noise = noise,
                                       .n_streams = n_streams,
                                       .source = (enum pay_source)source,
                                       .draft_price = source == PAY_DRAFT_MODEL ? 0.1 : 0 };
            const struct result r = run_fresh(m, text, 600);

            if (r.speed < 0.97)
                fail_msg("price %.2f, %u streams, source %d: speed %.3f", prices[i], n_streams,
                         source, r.speed);
        }
}

static void drafts_that_never_stand_cost_little(void **state)
{
    (void)state;
    assert_costs_little(never, 1, 0);
    assert_costs_little(never, 8, 0);
    assert_costs_little(never, 32, 0);
    assert_costs_little(never, 1, 0.3);
}

static void a_text_made_to_fool_it_costs_little(void **state)
{
    (void)state;
    assert_costs_little(by_turns, 1, 0);
    assert_costs_little(in_bursts, 1, 0);
    assert_costs_little(in_bursts, 8, 0.1);
}

static void drafts_that_always_stand_gain_what_rows_leave(void **state)
{
    (void)state;
    for (int i = 0; i < N_PRICES; i++) {
        const struct machine m = { .price = prices[i], .n_streams = 1, .source = PAY_LOOKUP_LONG };
        const double most = 16 / step_units(&m, 16);
        const struct result r = run_fresh(m, always, 2000);

        if (r.speed < 0.9 * most - 0.05)
            fail_msg("price %.2f: speed %.2f of %.2f", prices[i], r.speed, most);
    }
}

static void seven_of_ten_gain_where_rows_are_cheap(void **state)
{
    const struct machine cheap = { .price = 0.1, .n_streams = 1, .source = PAY_LOOKUP_SHORT };
    const struct machine noisy = { .price = 0.1, .noise = 0.3, .n_streams = 1 };

    (void)state;
    assert_true(run_fresh(cheap, mostly, 2000).speed > 1.6);
    assert_true(run_fresh(noisy, mostly, 2000).speed > 1.5);
}

static void a_text_that_begins_to_repeat_is_noticed(void **state)
{
    const struct machine m = { .price = 0.2, .n_streams = 1, .source = PAY_LOOKUP_SHORT };
    struct pay p;

    (void)state;
    pay_init(&p);
    assert_true(run(&p, m, later, 0, 2000).speed > 0.97);
    assert_true(run(&p, m, later, 2000, 400).speed > 1.8);
}

/* Stalls that were taken for the price of rows would end drafting for good. */
static void slow_steps_of_every_size_end_nothing(void **state)
{
    const struct machine m = { .price = 0.1, .n_streams = 1, .source = PAY_LOOKUP_LONG };
    struct pay p;

    (void)state;
    pay_init(&p);
    (void)run(&p, m, always, 0, 500);
    for (uint32_t n = 2; n <= 16; n++)
        pay_learn_step(&p, n, (uint64_t)(unit_ns * 1000), 0);
    assert_true(run(&p, m, always, 0, 1000).speed > 3);
}

static void nothing_is_drafted_before_a_step_was_measured(void **state)
{
    struct pay_bid bid = { .n_max = 8 };
    struct pay_sequence q;
    struct pay p;

    (void)state;
    pay_init(&p);
    pay_join(&p, &q);
    bid.sequence = &q;
    assert_int_equal(pay_choose(&p, 1, 1, 32, &bid, 1), 0);
    pay_learn_step(&p, 300, 20000000, 0); /* a prompt: says nothing of one row */
    assert_int_equal(pay_choose(&p, 1, 1, 32, &bid, 1), 0);
    pay_learn_step(&p, 1, 1000000, 0);
    assert_true(pay_choose(&p, 1, 1, 32, &bid, 1) > 0);
    assert_int_equal(pay_choose(&p, 1, 1, 0, &bid, 1), 0);
}

/* Any size has a bucket, and a larger one is never taken to be cheaper. */
static void sizes_between_the_measured_ones_are_estimated(void **state)
{
    struct pay p;
    double last = 0;

    (void)state;
    pay_init(&p);
    for (uint32_t n = 1; n < 8000; n = n * 3 + 1)
        pay_learn_step(&p, n, (1000 + n * 100) * 1000ull, 0);
    for (uint32_t n = 1; n < 9000; n++) {
        const double ns = pay_step_ns(&p, n);

        assert_true(ns >= last && ns > 0);
        last = ns;
    }
    for (uint32_t n = 20; n < 4000; n += 7) {
        const double want = (1000 + n * 100) * 1e3;

        assert_true(pay_step_ns(&p, n) > 0.8 * want && pay_step_ns(&p, n) < 1.25 * want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drafts_that_never_stand_cost_little),
        cmocka_unit_test(a_text_made_to_fool_it_costs_little),
        cmocka_unit_test(drafts_that_always_stand_gain_what_rows_leave),
        cmocka_unit_test(seven_of_ten_gain_where_rows_are_cheap),
        cmocka_unit_test(a_text_that_begins_to_repeat_is_noticed),
        cmocka_unit_test(slow_steps_of_every_size_end_nothing),
        cmocka_unit_test(nothing_is_drafted_before_a_step_was_measured),
        cmocka_unit_test(sizes_between_the_measured_ones_are_estimated),
    };

    return cmocka_run_group_tests_name("execute/pay", tests, NULL, NULL);
}
