/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_cut.c - portions cover every layer, in proportion to shares, and are the whole's numbers. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cpu/panel.h"
#include "model/model.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { MEMBERS_MAX = 8 };

/* SmolLM2's sizes, and others that divide badly. */
static const struct portion_whole smollm = { 9, 3, 64, 1536, 49152 };
static const struct portion_whole odd = { 8, 8, 16, 1000, 259 };

static void assert_covers(const struct portion_whole *w, const struct portion *p, uint32_t n)
{
    uint32_t head = 0, ff = 0, row = 0;

    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(p[i].member, i);
        assert_int_equal(p[i].n_members, n);
        assert_int_equal(p[i].first_kv_head, head);
        assert_int_equal(p[i].first_ff, ff);
        assert_int_equal(p[i].first_output, row);
        assert_int_equal(ff % PORTION_FF_UNIT, 0);
        assert_int_equal(row % PORTION_OUTPUT_UNIT, 0);
        assert_true(p[i].n_ff > 0 && p[i].n_outputs > 0);
        head += p[i].n_kv_heads;
        ff += p[i].n_ff;
        row += p[i].n_outputs;
    }
    assert_int_equal(head, w->n_kv_head);
    assert_int_equal(ff, w->n_ff);
    assert_int_equal(row, w->n_vocab);
}

static void portions_of_any_shares_cover_the_whole(void **state)
{
    const struct portion_whole *const wholes[] = { &smollm, &odd };
    struct portion p[MEMBERS_MAX];
    uint32_t seed = 7;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        const uint32_t n = 1 + i % MEMBERS_MAX;
        uint32_t shares[MEMBERS_MAX];
        struct err err = { 0 };

        for (uint32_t k = 0; k < n; k++) {
            seed = seed * 1664525u + 1013904223u;
            shares[k] = 1 + (seed >> 8) % (i % 3 == 0 ? 3u : 100000u);
        }
        assert_ok(portion_cut(wholes[i % 2], shares, n, p, &err), err);
        assert_covers(wholes[i % 2], p, n);
    }
}

static void heads_go_to_the_largest_remainders_and_rows_even_them_out(void **state)
{
    static const uint32_t equal[] = { 1, 1, 1, 1 }, unequal[] = { 5, 3, 1 };
    struct portion p[4];
    struct err err = { 0 };

    (void)state;
    assert_ok(portion_cut(&smollm, unequal, 3, p, &err), err);
    assert_int_equal(p[0].n_kv_heads, 2);
    assert_int_equal(p[1].n_kv_heads, 1);
    assert_int_equal(p[2].n_kv_heads, 0); /* and rows all the same */
    assert_in_range(p[2].n_outputs, 49152 / 9 - 16, 49152 / 9 + 16);
    assert_ok(portion_cut(&smollm, equal, 4, p, &err), err);
    assert_int_equal(p[3].n_kv_heads, 0);
    /* a head is 2 * 64 * (3 + 1) = 512 elements a column, a row of the three matrices is 3 */
    assert_int_equal(p[3].n_ff, (512 * 3 + 1536 * 3) / 4 / 3);
    assert_int_equal(p[0].n_ff + p[1].n_ff + p[2].n_ff, 1536 - p[3].n_ff);
}

static void what_cannot_be_cut_is_refused(void **state)
{
    static const uint32_t shares[] = { 1, 1, 1, 1 }, none[] = { 1, 0 };
    const struct portion_whole small = { 4, 2, 32, 96, 267 };
    struct portion p[PORTION_MEMBERS_MAX];
    struct err err = { 0 };

    (void)state;
    assert_int_equal(portion_cut(&small, shares, 4, p, &err), ST_RANGE); /* three units of rows */
    assert_int_equal(portion_cut(&small, none, 2, p, &err), ST_RANGE);
    assert_int_equal(portion_cut(&small, shares, 0, p, &err), ST_RANGE);
    assert_int_equal(portion_cut(&small, shares, PORTION_MEMBERS_MAX + 1, p, &err), ST_RANGE);
}

/* ---- matrices ---- */

/* Row `row` of a matrix as numbers, by way of the panels that hold it. */
static void read_row(const struct matrix *w, uint32_t row, float *ret)
{
    const size_t n = panel_bytes(w->dtype, w->n_cols);
    unsigned char *bytes = aligned_alloc(PANEL_ALIGN, n);
    struct panels one = { w->dtype, PANEL_ROWS, w->n_cols, bytes };

    panel_pack(w, row / PANEL_ROWS, bytes);
    panel_row(&one, row % PANEL_ROWS, ret);
    free(bytes);
}

static void assert_part(const struct matrix *part, const struct matrix *whole, uint32_t first_row,
                        uint32_t first_col)
{
    float *a = calloc(part->n_cols, sizeof(float)), *b = calloc(whole->n_cols, sizeof(float));

    for (uint32_t row = 0; row < part->n_rows; row++) {
        read_row(part, row, a);
        read_row(whole, first_row + row, b);
        assert_memory_equal(a, b + first_col, part->n_cols * sizeof(float));
    }
    free(a);
    free(b);
}

static void assert_is_portion(const struct model *model, const struct portion *p)
{
    const uint32_t dim = model_shape(model)->head_dim;
    const uint32_t group = model_shape(model)->n_head / model_shape(model)->n_kv_head;
    struct shard_weights whole, part;
    struct err err = { 0 };

    assert_ok(model_shard(model, 1, 2, &whole, &err), err);
    assert_ok(model_shard_of(model, 1, 2, p, &part, &err), err);
    assert_int_equal(part.shape.n_kv_head, p->n_kv_heads);
    assert_int_equal(part.shape.n_head, group * p->n_kv_heads);
    assert_int_equal(part.shape.n_ff, p->n_ff);
    for (uint32_t i = 0; i < 2; i++) {
        const struct layer_weights *a = &part.layers[i], *b = &whole.layers[i];

        if (p->n_kv_heads > 0) {
            assert_part(&a->q, &b->q, p->first_kv_head * group * dim, 0);
            assert_part(&a->k, &b->k, p->first_kv_head * dim, 0);
            assert_part(&a->v, &b->v, p->first_kv_head * dim, 0);
            assert_part(&a->o, &b->o, 0, p->first_kv_head * group * dim);
        }
        assert_part(&a->gate, &b->gate, p->first_ff, 0);
        assert_part(&a->up, &b->up, p->first_ff, 0);
        assert_part(&a->down, &b->down, 0, p->first_ff);
    }
    assert_part(&part.output, &whole.output, p->first_output, 0);
    shard_weights_release(&whole);
    shard_weights_release(&part);
}

static struct model *open_model(enum dtype matrices, const char *path)
{
    const struct tiny_llama spec = { .n_layer = 3,
                                     .n_hidden = 288,
                                     .n_ff = 192,
                                     .n_head = 9,
                                     .n_kv_head = 3,
                                     .context_tokens = 64,
                                     .matrices = matrices,
                                     .embedding = DTYPE_Q8_0,
                                     .is_tied = true,
                                     .seed = 5 };
    struct model *model = NULL;
    struct err err = { 0 };

    tiny_llama_write(&spec, path);
    assert_ok(model_open(path, &model, &err), err);
    return model;
}

static void portions_hold_the_numbers_of_the_whole_in_every_format(void **state)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };
    static const uint32_t shares[] = { 5, 3, 1 };
    char path[PATH_MAX_BYTES];

    for (size_t d = 0; d < sizeof(dtypes) / sizeof(dtypes[0]); d++) {
        struct model *model;

        folder_path(*state, "m.gguf", path);
        model = open_model(dtypes[d], path);
        for (uint32_t i = 0; i < 3; i++) {
            struct portion p;
            struct err err = { 0 };

            assert_ok(model_portion(model, shares, 3, i, &p, &err), err);
            assert_is_portion(model, &p);
        }
        model_free(model);
    }
}

/* Heads of 16 columns, three of which are no whole blocks of 32. */
static void heads_that_are_no_whole_blocks_are_refused_by_name(void **state)
{
    struct tiny_llama spec = tiny_llama_default;
    static const uint32_t shares[] = { 1, 1 };
    char path[PATH_MAX_BYTES];
    struct shard_weights w;
    struct portion p;
    struct model *model = NULL;
    struct err err = { 0 };

    folder_path(*state, "m.gguf", path);
    spec.n_kv_head = 4;
    tiny_llama_write(&spec, path);
    assert_ok(model_open(path, &model, &err), err);
    assert_ok(model_portion(model, shares, 2, 0, &p, &err), err);
    p.n_kv_heads = 1;
    assert_int_equal(model_shard_of(model, 0, 4, &p, &w, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.words, "attention output matrix"));
    model_free(model);
}

static int set_up(void **state)
{
    static struct folder folder;

    folder_make(&folder);
    *state = &folder;
    return 0;
}

static int tear_down(void **state)
{
    folder_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(portions_of_any_shares_cover_the_whole),
        cmocka_unit_test(heads_go_to_the_largest_remainders_and_rows_even_them_out),
        cmocka_unit_test(what_cannot_be_cut_is_refused),
        cmocka_unit_test(portions_hold_the_numbers_of_the_whole_in_every_format),
        cmocka_unit_test(heads_that_are_no_whole_blocks_are_refused_by_name),
    };

    return cmocka_run_group_tests_name("model/cut", tests, set_up, tear_down);
}
