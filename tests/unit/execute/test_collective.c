/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_collective.c - sums over a team: in the order of ranks, the same bits on all.
 *
 * Sizes around every bound of the implementation, by either way, over every transport.
 */
#include "support/check.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/f16.h"
#include "execute/collective.h"
#include "execute/sum_rows.h"
#include "support/ring.h"

enum { MEMBERS_MAX = 4, DEADLINE_MS = 20000 };

struct member {
    struct collective *collective;
    float *rows;
    size_t n;
    enum status status;
    struct err err;
};

/* Of very different sizes, so that another order shows. */
static float number(uint32_t member, size_t i)
{
    const float sizes[] = { 1.0f, 1e-4f, 1e3f, -1e3f };

    return sizes[(member + i) % 4] * (1.0f + (float)((i * 2654435761u + member) % 1000) / 999.0f);
}

static void *sum(void *arg)
{
    struct member *m = arg;

    m->status = collective_sum(m->collective, m->rows, m->n, &m->err);
    return NULL;
}

/* members' rows, to be freed, become the sums. */
static void sum_all(struct member *members, uint32_t n_members, size_t n)
{
    pthread_t threads[MEMBERS_MAX];

    for (uint32_t i = 0; i < n_members; i++) {
        members[i].n = n;
        members[i].rows = malloc(n * sizeof(float));
        for (size_t k = 0; k < n; k++)
            members[i].rows[k] = number(i, k);
        assert_int_equal(pthread_create(&threads[i], NULL, sum, &members[i]), 0);
    }
    for (uint32_t i = 0; i < n_members; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(members[i].status, members[i].err);
    }
}

static void sum_and_check(struct member *members, uint32_t n_members, size_t n)
{
    sum_all(members, n_members, n);
    for (size_t k = 0; k < n; k++) {
        float want = number(0, k);

        for (uint32_t i = 1; i < n_members; i++)
            want += number(i, k);
        for (uint32_t i = 0; i < n_members; i++)
            if (memcmp(&members[i].rows[k], &want, sizeof(want)) != 0)
                fail_msg("member %u of %u: sum %zu of %zu is another", i, n_members, k, n);
    }
    for (uint32_t i = 0; i < n_members; i++)
        free(members[i].rows);
}

/* Members are the ranks from `first` on; those before take no part. */
static void run(const char *transport, uint32_t first, uint32_t n_members)
{
    static const size_t sizes[] = { 1, 576, 16383, 16384, 16385, 40000, 262145, 600001 };
    struct transport *ends[RING_RANKS_MAX];
    struct member members[MEMBERS_MAX];
    struct err err = { 0 };

    assert_ok(ring_new(transport, first + n_members, ends, &err), err);
    for (uint32_t i = 0; i < n_members; i++) {
        const struct collective_options o = { .ring = ends[first + i],
                                              .first_rank = first,
                                              .n_members = n_members,
                                              .deadline_ms = DEADLINE_MS };

        assert_ok(collective_new(&o, &members[i].collective, &err), err);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        sum_and_check(members, n_members, sizes[i]);
    for (uint32_t i = 0; i < n_members; i++)
        collective_free(members[i].collective);
    for (uint32_t i = 0; i < first + n_members; i++)
        transport_close(ends[i]);
}

static void all_members_get_the_sums_in_the_order_of_ranks(void **state)
{
    const char *transport = *state;

    for (uint32_t n = 2; n <= MEMBERS_MAX; n++)
        run(transport, 0, n);
    run(transport, 1, 3);
}

/* The largest of the block of 32 that k is in. */
static float largest_near(uint32_t member, size_t k, size_t n)
{
    float largest = 0;

    for (size_t i = k / SUM_BLOCK * SUM_BLOCK; i < n && i < (k / SUM_BLOCK + 1) * SUM_BLOCK; i++)
        largest = fmaxf(largest, fabsf(number(member, i)));
    return largest;
}

/* What contract/sum_format.h says that rounding costs at most: of each member's number, and of the
 * sum, which is rounded where it goes in two rounds. */
static float error_bound(enum sum_format format, uint32_t n_members, size_t k, size_t n)
{
    float sizes = 0, largest = 0;

    for (uint32_t i = 0; i < n_members; i++) {
        sizes += fabsf(number(i, k));
        largest += largest_near(i, k, n);
    }
    return format == SUM_F16 ? 2 * sizes * 0x1p-11f + 1e-6f : 2.01f * largest / 253;
}

static void check_rounded(const struct member *members, uint32_t n_members, enum sum_format format,
                          size_t n)
{
    for (size_t k = 0; k < n; k++) {
        float want = number(0, k);

        for (uint32_t i = 1; i < n_members; i++)
            want += number(i, k);
        if (!(fabsf(members[0].rows[k] - want) <= error_bound(format, n_members, k, n)))
            fail_msg("sum %zu of %zu in %s is %g instead of %g", k, n, sum_format_name(format),
                     (double)members[0].rows[k], (double)want);
    }
    for (uint32_t i = 1; i < n_members; i++)
        assert_memory_equal(members[i].rows, members[0].rows, n * sizeof(float));
}

static void run_rounded(enum sum_format format, uint32_t n_members)
{
    static const size_t sizes[] = { 1, 31, 576, 16383, 16417, 262145 };
    struct transport *ends[RING_RANKS_MAX];
    struct member members[MEMBERS_MAX];
    struct err err = { 0 };

    assert_ok(ring_new("inproc", n_members, ends, &err), err);
    for (uint32_t i = 0; i < n_members; i++) {
        const struct collective_options o = {
            .ring = ends[i], .n_members = n_members, .deadline_ms = DEADLINE_MS, .format = format
        };

        assert_ok(collective_new(&o, &members[i].collective, &err), err);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        sum_all(members, n_members, sizes[i]);
        check_rounded(members, n_members, format, sizes[i]);
        for (uint32_t k = 0; k < n_members; k++)
            free(members[k].rows);
    }
    for (uint32_t i = 0; i < n_members; i++) {
        collective_free(members[i].collective);
        transport_close(ends[i]);
    }
}

static void rounded_sums_are_alike_on_all_and_err_as_stated(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= MEMBERS_MAX; n++)
        for (int format = SUM_F16; format < N_SUM_FORMATS; format++)
            run_rounded((enum sum_format)format, n);
}

static void halves_are_those_of_the_standard(void **state)
{
    uint32_t x = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        float one, back;
        uint16_t half;

        x = x * 1664525u + 1013904223u; /* Numerical Recipes LCG */
        one = f32_of_bits(x);
        if (!(fabsf(one) <= 65504)) /* those are told apart below */
            continue;
        sum_rows_pack(SUM_F16, &one, 1, &half);
        assert_int_equal(half, f16_of_f32(one));
        sum_rows_unpack(SUM_F16, &half, 1, &back);
        assert_true(back == f16_to_f32(half));
    }
    const float large[] = { 1e9f, -INFINITY, NAN };
    float got[3];
    uint16_t halves[3];

    sum_rows_pack(SUM_F16, large, 3, halves);
    sum_rows_unpack(SUM_F16, halves, 3, got);
    assert_true(got[0] == 65504 && got[1] == -65504 && isnan(got[2]));
}

static void what_is_no_number_harms_no_other(void **state)
{
    const float rows[4] = { NAN, INFINITY, 1, -0.5f };
    unsigned char bytes[64];
    float got[4];

    (void)state;
    sum_rows_pack(SUM_Q8, rows, 4, bytes);
    sum_rows_unpack(SUM_Q8, bytes, 4, got);
    assert_true(fabsf(got[2] - 1) < 0.01f && fabsf(got[3] + 0.5f) < 0.01f);
    assert_true(isfinite(got[0]) && isfinite(got[1]));
}

static void a_lost_member_ends_the_sum_of_the_others(void **state)
{
    struct transport *ends[3];
    struct member m;
    float rows[4] = { 0 };
    struct err err = { 0 };

    assert_ok(ring_new(*state, 3, ends, &err), err);
    const struct collective_options o = {
        .ring = ends[0], .first_rank = 0, .n_members = 3, .deadline_ms = DEADLINE_MS
    };
    assert_ok(collective_new(&o, &m.collective, &err), err);
    transport_close(ends[2]);
    assert_int_equal(collective_sum(m.collective, rows, 4, &err), ST_PEER);
    collective_free(m.collective);
    transport_close(ends[0]);
    transport_close(ends[1]);
}

static void a_member_that_is_late_ends_the_sum_at_its_deadline(void **state)
{
    struct transport *ends[2];
    struct collective *c;
    float rows[4] = { 0 };
    struct err err = { 0 };

    assert_ok(ring_new(*state, 2, ends, &err), err);
    const struct collective_options o = {
        .ring = ends[0], .first_rank = 0, .n_members = 2, .deadline_ms = 20
    };
    assert_ok(collective_new(&o, &c, &err), err);
    assert_int_equal(collective_sum(c, rows, 4, &err), ST_DEADLINE);
    collective_free(c);
    transport_close(ends[0]);
    transport_close(ends[1]);
}

static void a_rank_outside_the_team_is_refused(void **state)
{
    struct transport *ends[2];
    struct collective *c;
    struct collective_options o = { .first_rank = 1, .n_members = 1, .deadline_ms = 1 };
    struct err err = { 0 };

    (void)state;
    assert_ok(inproc_new(2, ends, &err), err);
    o.ring = ends[0];
    assert_int_equal(collective_new(&o, &c, &err), ST_RANGE);
    o.n_members = 0;
    assert_int_equal(collective_new(&o, &c, &err), ST_RANGE);
    transport_close(ends[0]);
    transport_close(ends[1]);
}

#define OVER(test, transport)                                                                      \
    {                                                                                              \
#test " over " transport, test, NULL, NULL, (void *)transport                              \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER(all_members_get_the_sums_in_the_order_of_ranks, "inproc"),
        OVER(all_members_get_the_sums_in_the_order_of_ranks, "tcp"),
        OVER(all_members_get_the_sums_in_the_order_of_ranks, "tls"),
        OVER(a_lost_member_ends_the_sum_of_the_others, "inproc"),
        OVER(a_lost_member_ends_the_sum_of_the_others, "tls"),
        OVER(a_member_that_is_late_ends_the_sum_at_its_deadline, "inproc"),
        OVER(a_member_that_is_late_ends_the_sum_at_its_deadline, "tcp"),
        cmocka_unit_test(rounded_sums_are_alike_on_all_and_err_as_stated),
        cmocka_unit_test(halves_are_those_of_the_standard),
        cmocka_unit_test(what_is_no_number_harms_no_other),
        cmocka_unit_test(a_rank_outside_the_team_is_refused),
    };

    return cmocka_run_group_tests_name("execute/collective", tests, NULL, NULL);
}
