/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_attention.c - attention's kernels: ref against double precision, every
 * ISA of this machine against ref bit for bit, on odd sizes, between guards.
 */
#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/f16.h"
#include "engine/cpu/kernels.h"
#include "engine/cpu/kv_rows.h"
#include "support/numbers.h"

enum { MAX_ISAS = 8, QUERIES_MAX = 9, STRIDE = 272 };

struct fixture {
    struct kernel_ops isas[MAX_ISAS]; /* ref first */
    size_t n_isas;
};

static int set_up(void **state)
{
    static struct fixture f;
    const uint32_t features = machine_cpu_features();
    char names[128], *rest = names;

    f = (struct fixture){ 0 };
    kernel_isa_names(features, names, sizeof(names));
    for (char *name; (name = strtok_r(rest, ", ", &rest)) != NULL;)
        assert_true(kernel_ops_select(&f.isas[f.n_isas++], features, name));
    assert_string_equal(f.isas[0].isa, "ref");
    *state = &f;
    return 0;
}

/* One head of n positions, in its page and as the numbers that were stored. */
struct head {
    enum kv_format format;
    enum kv_part part;
    struct kv_rows rows;
    size_t n_bytes;
    unsigned char *page;
    float *x; /* [n][dim] */
};

static struct head head_new(const struct kernel_ops *ops, enum kv_format format, enum kv_part part,
                            size_t n, size_t dim)
{
    const size_t n_bytes = (n + KV_PANEL - 1) / KV_PANEL * kv_panel_bytes(format, dim);
    struct head h = { .format = format, .part = part, .n_bytes = n_bytes };
    uint32_t seed = 5;

    h.page = guarded_new(n_bytes);
    h.x = calloc(n * dim, sizeof(*h.x));
    assert_non_null(h.x);
    memset(h.page, 0xff, n_bytes); /* not numbers, where nothing is stored */
    for (size_t i = 0; i < n * dim; i++)
        h.x[i] = 2 * random_float(&seed);
    for (size_t p = 0; p < n; p++)
        kv_rows_store(ops, format, part, h.page, (uint32_t)p, h.x + p * dim, dim);
    h.rows = (struct kv_rows){ h.page, n, dim };
    return h;
}

static void head_free(struct head *h)
{
    guarded_free(h->page, h->n_bytes);
    free(h->x);
}

/* How far a stored number may be from what was stored: half a unit of f16, or half a step of
 * the block, whose scale is itself an f16. */
static double storing_error(const struct head *h, size_t p, size_t j)
{
    const float *x = h->x + p * h->rows.dim;
    double largest = 0;

    if (h->format == KV_F16)
        return fabs((double)x[j]) / 2048 + 1e-7;
    for (size_t i = j / KV_BLOCK * KV_BLOCK; i < (j / KV_BLOCK + 1) * KV_BLOCK; i++)
        largest = fmax(largest, fabs((double)x[i]));
    return largest / 127 * 0.51 + largest / 1024;
}

static float *random_floats(size_t n, uint32_t seed)
{
    float *x = guarded_new(n * sizeof(*x));

    for (size_t i = 0; i < n; i++)
        x[i] = random_float(&seed);
    return x;
}

static void assert_scores_near(const struct head *h, const float *q, const float *score)
{
    const size_t dim = h->rows.dim;

    for (size_t p = 0; p < h->rows.n; p++) {
        double exact = 0, bound = 1e-6 * (double)dim;

        for (size_t j = 0; j < dim; j++) {
            exact += (double)q[j] * (double)h->x[p * dim + j];
            bound += fabs((double)q[j]) * storing_error(h, p, j);
        }
        assert_true(fabs((double)score[p] - exact) <= bound);
    }
}

static void check_scores(const struct fixture *f, enum kv_format format, size_t n, size_t dim)
{
    static float expected[QUERIES_MAX * STRIDE], got[QUERIES_MAX * STRIDE];
    struct head h = head_new(&f->isas[0], format, KV_KEY, n, dim);
    float *q = random_floats(QUERIES_MAX * dim, 3);

    f->isas[0].attention_scores[format](expected, STRIDE, q, QUERIES_MAX, &h.rows);
    for (size_t i = 0; i < QUERIES_MAX; i++)
        assert_scores_near(&h, q + i * dim, expected + i * STRIDE);
    for (size_t k = 0; k < f->n_isas; k++)
        for (size_t n_queries = 1; n_queries <= QUERIES_MAX; n_queries++) {
            f->isas[k].attention_scores[format](got, STRIDE, q + (QUERIES_MAX - n_queries) * dim,
                                                n_queries, &h.rows);
            for (size_t i = 0; i < n_queries; i++)
                assert_memory_equal(got + i * STRIDE,
                                    expected + (QUERIES_MAX - n_queries + i) * STRIDE,
                                    n * sizeof(*got));
        }
    guarded_free(q, QUERIES_MAX * dim * sizeof(*q));
    head_free(&h);
}

static void assert_mix_near(const struct head *h, const float *weight, const float *before,
                            const float *sum)
{
    const size_t dim = h->rows.dim;

    for (size_t j = 0; j < dim; j++) {
        double exact = (double)before[j], bound = 1e-6 * (double)(h->rows.n + 1);

        for (size_t p = 0; p < h->rows.n; p++) {
            exact += (double)weight[p] * (double)h->x[p * dim + j];
            bound += fabs((double)weight[p]) * storing_error(h, p, j);
        }
        assert_true(fabs((double)sum[j] - exact) <= bound);
    }
}

static void check_mix(const struct fixture *f, enum kv_format format, size_t n, size_t dim)
{
    const size_t sum_bytes = QUERIES_MAX * dim * sizeof(float);
    struct head h = head_new(&f->isas[0], format, KV_VALUE, n, dim);
    float *weight = random_floats((QUERIES_MAX - 1) * STRIDE + n, 9);
    float *before = random_floats(QUERIES_MAX * dim, 4), *expected = guarded_new(sum_bytes);
    float *got = guarded_new(sum_bytes);

    memcpy(expected, before, sum_bytes);
    f->isas[0].attention_mix[format](expected, weight, STRIDE, QUERIES_MAX, &h.rows);
    for (size_t i = 0; i < QUERIES_MAX; i++)
        assert_mix_near(&h, weight + i * STRIDE, before + i * dim, expected + i * dim);
    for (size_t k = 0; k < f->n_isas; k++)
        for (size_t skip = 0; skip < QUERIES_MAX; skip++) {
            memcpy(got, before, sum_bytes);
            f->isas[k].attention_mix[format](got + skip * dim, weight + skip * STRIDE, STRIDE,
                                             QUERIES_MAX - skip, &h.rows);
            assert_memory_equal(got + skip * dim, expected + skip * dim,
                                (QUERIES_MAX - skip) * dim * sizeof(*got));
        }
    guarded_free(got, sum_bytes);
    guarded_free(expected, sum_bytes);
    guarded_free(before, sum_bytes);
    guarded_free(weight, ((QUERIES_MAX - 1) * STRIDE + n) * sizeof(*weight));
    head_free(&h);
}

static void hold_for_all_sizes(const struct fixture *f,
                               void (*check)(const struct fixture *, enum kv_format, size_t,
                                             size_t))
{
    static const size_t dims[] = { 2, 8, 20, 32, 64, 80, 96, 128, 256 };
    static const size_t lengths[] = { 1, 3, 16, 17, 31, 64, 100, 256 };

    for (unsigned format = 0; format < N_KV_FORMATS; format++)
        for (size_t d = 0; d < ARRAY_LEN(dims); d++)
            for (size_t n = 0; n < ARRAY_LEN(lengths); n++)
                if (format == KV_F16 || dims[d] % KV_BLOCK == 0)
                    check(f, (enum kv_format)format, lengths[n], dims[d]);
}

static void scores_are_right_and_the_same_on_every_isa(void **state)
{
    hold_for_all_sizes(*state, check_scores);
}

static void mixing_is_right_and_the_same_on_every_isa(void **state)
{
    hold_for_all_sizes(*state, check_mix);
}

static void check_softmax(const struct kernel_ops *ops, const float *x, size_t n, float *got,
                          float ret[2])
{
    memcpy(got, x, n * sizeof(*got));
    ret[0] = ops->softmax(got, n, &ret[1]);
}

static void softmax_is_right_and_the_same_on_every_isa(void **state)
{
    enum { N = 256 };
    const struct fixture *f = *state;

    for (size_t n = 1; n <= N; n++) {
        const size_t bytes = n * sizeof(float);
        float *x = random_floats(n, (uint32_t)n), *expected = guarded_new(bytes);
        float *got = guarded_new(bytes), result[2], other[2];
        double sum = 0;

        for (size_t i = 0; i < n; i++)
            x[i] = x[i] * 70 - 30; /* some differ by more than f32 has exponents */
        check_softmax(&f->isas[0], x, n, expected, result);
        for (size_t i = 0; i < n; i++) {
            const double exact = exp2((double)(x[i] - result[1]));

            assert_true(x[i] <= result[1]);
            sum += exact;
            assert_true(fabs((double)expected[i] - exact) <= 1e-7 * exact + 0x1p-125);
        }
        assert_true(fabs((double)result[0] - sum) <= 2e-6 * sum);
        for (size_t k = 1; k < f->n_isas; k++) {
            check_softmax(&f->isas[k], x, n, got, other);
            assert_memory_equal(got, expected, bytes);
            assert_memory_equal(other, result, sizeof(result));
        }
        guarded_free(got, bytes);
        guarded_free(expected, bytes);
        guarded_free(x, bytes);
    }
}

static void what_every_isa_stores_is_the_same(void **state)
{
    const struct fixture *f = *state;

    for (size_t k = 1; k < f->n_isas; k++)
        for (unsigned format = 0; format < N_KV_FORMATS; format++)
            for (unsigned part = KV_KEY; part <= KV_VALUE; part++) {
                struct head a =
                    head_new(&f->isas[0], (enum kv_format)format, (enum kv_part)part, 37, 96);
                struct head b =
                    head_new(&f->isas[k], (enum kv_format)format, (enum kv_part)part, 37, 96);

                assert_memory_equal(a.page, b.page, a.n_bytes);
                head_free(&a);
                head_free(&b);
            }
}

static void zeros_and_tiny_numbers_are_stored_as_zero(void **state)
{
    const struct fixture *f = *state;
    float x[KV_BLOCK] = { 0 };
    unsigned char page[KV_PANEL * 34];
    const struct kv_rows rows = { page, 1, KV_BLOCK };

    for (int tiny = 0; tiny < 2; tiny++) {
        float q[KV_BLOCK], scores[KV_PANEL];

        for (size_t i = 0; i < KV_BLOCK; i++)
            q[i] = 1;
        x[3] = tiny ? 1e-30f : 0;
        memset(page, 0, sizeof(page));
        kv_rows_store(&f->isas[0], KV_Q8_0, KV_KEY, page, 0, x, KV_BLOCK);
        f->isas[0].attention_scores[KV_Q8_0](scores, KV_PANEL, q, 1, &rows);
        assert_true(scores[0] == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_every_isa_stores_is_the_same),
        cmocka_unit_test(zeros_and_tiny_numbers_are_stored_as_zero),
        cmocka_unit_test(scores_are_right_and_the_same_on_every_isa),
        cmocka_unit_test(mixing_is_right_and_the_same_on_every_isa),
        cmocka_unit_test(softmax_is_right_and_the_same_on_every_isa),
    };

    return cmocka_run_group_tests_name("engine/attention", tests, set_up, NULL);
}
