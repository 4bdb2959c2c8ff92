/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/partition/test_partition.c - plans by hand, and what holds for any plan.
 *
 * The properties are checked on random clusters of a fixed seed, against sums
 * made here.
 */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "partition/partition.h"

#define MIB (1ull << 20)

/* 12 layers of 10 MiB, 4 MiB of embedding, 6 MiB of output, 1 KiB of KV per token and layer. */
static struct model_info small_model(void)
{
    return (struct model_info){ .name = "small",
                                .n_layer = 12,
                                .context_tokens = 1024,
                                .file_bytes = 130 * MIB,
                                .layer_bytes = 10 * MIB,
                                .embedding_bytes = 4 * MIB,
                                .output_bytes = 6 * MIB,
                                .kv_bytes_per_token = 1024 };
}

static struct node_set nodes_of(const uint64_t *mib, size_t n)
{
    struct node_set nodes = { .n_nodes = n };

    for (size_t i = 0; i < n; i++) {
        snprintf(nodes.nodes[i].name, NODE_NAME_MAX, "n%zu", i);
        nodes.nodes[i].is_alive = nodes.nodes[i].holds_model = true;
        nodes.nodes[i].memory_bytes = mib[i] * MIB;
        nodes.nodes[i].score = (double)mib[i];
    }
    return nodes;
}

static void layers_follow_memory(void **state)
{
    static const struct {
        uint64_t mib[4];
        size_t n;
        bool uses_all;
        size_t n_shards;
        uint32_t layers[4];
    } rows[] = {
        { { 1000 }, 1, false, 1, { 12 } },
        { { 1000, 1000 }, 2, false, 1, { 12 } },
        { { 1004, 1006 }, 2, true, 2, { 6, 6 } },
        { { 2004, 1006 }, 2, true, 2, { 8, 4 } },
        { { 504, 500, 506 }, 3, true, 3, { 4, 4, 4 } },
        /* one node is too small for all, two are enough */
        { { 100, 100, 100 }, 3, false, 2, { 6, 6 } },
        /* the small one is left out, order stays that of the ring */
        { { 80, 20, 90 }, 3, false, 2, { 6, 6 } },
        /* a node with next to nothing still gets its layer when named */
        { { 4000, 12, 4000 }, 3, true, 3, { 6, 1, 5 } },
        /* capacity bounds the share: 22 MiB hold one layer beside the output */
        { { 130, 22 }, 2, true, 2, { 11, 1 } },
    };
    const struct model_info model = small_model();
    struct err err;

    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        const struct node_set nodes = nodes_of(rows[r].mib, rows[r].n);
        const struct partition_options options = { .uses_all_nodes = rows[r].uses_all };
        struct plan plan = { 0 };

        assert_ok(partition_plan(&model, &nodes, &options, &plan, &err), err);
        assert_int_equal(plan.n_shards, rows[r].n_shards);
        for (size_t i = 0; i < plan.n_shards; i++)
            if (plan.shards[i].n_layers != rows[r].layers[i])
                fail_msg("row %zu: node %zu has %u layers", r, i, plan.shards[i].n_layers);
    }
}

/* Layers and output are split by the shares, the embedding is not. */
static void parts_of_teams_are_counted_by_their_shares(void **state)
{
    static const struct partition_part parts[] = {
        { 0, 6, 3 }, { 0, 6, 1 }, { 6, 6, 1 }, { 6, 6, 1 }
    };
    const uint64_t mib[] = { 100, 100, 100, 100 };
    const struct model_info model = small_model();
    const struct partition_options options = { .context_tokens = 1024, .n_sequences = 1 };
    struct node_set nodes = nodes_of(mib, ARRAY_LEN(mib));
    struct plan plan = { 0 };
    struct err err;

    (void)state;
    assert_ok(partition_teams(&model, &nodes, parts, &options, &plan, &err), err);
    assert_int_equal(plan.n_shards, 4);
    assert_true(plan.shards[0].weight_bytes == (4 + 45) * MIB);
    assert_true(plan.shards[1].weight_bytes == (4 + 15) * MIB);
    assert_true(plan.shards[2].weight_bytes == 33 * MIB);
    assert_int_equal(plan.shards[0].share, 3);
    assert_true(plan.kv_tokens == 1024);
    nodes.nodes[2].memory_bytes = 33 * MIB; /* no room for keys and values */
    assert_int_equal(partition_teams(&model, &nodes, parts, &options, &plan, &err), ST_FULL);
    assert_non_null(strstr(err.words, "'n2'"));
    nodes.n_nodes = 3; /* a team of which a member is missing has all of its layers still */
    nodes.nodes[2].memory_bytes = 100 * MIB;
    assert_ok(partition_teams(&model, &nodes, parts, &options, &plan, &err), err);
    assert_true(plan.shards[2].weight_bytes == 66 * MIB);
    nodes.n_nodes = 2;
    assert_int_equal(partition_teams(&model, &nodes, parts, &options, &plan, &err), ST_RANGE);
}

static void the_pool_is_what_is_wanted_or_what_there_is(void **state)
{
    const uint64_t plenty[] = { 4000 }, little[] = { 160 }, tight[] = { 142 };
    const struct model_info model = small_model();
    const struct partition_options options = { .context_tokens = 1000 };
    struct partition_options q8_0 = options, with_draft = options;
    struct node_set nodes = nodes_of(plenty, 1);
    struct plan plan;
    struct err err;

    (void)state;
    assert_ok(partition_plan(&model, &nodes, &options, &plan, &err), err);
    assert_int_equal(plan.context_tokens, 1000);
    assert_int_equal(plan.kv_tokens, 16 * 1024); /* 16 contexts of whole 64 tokens */
    assert_int_equal(plan.shards[0].kv_bytes, 16 * 1024 * 12 * 1024);
    assert_int_equal(plan.shards[0].weight_bytes, 130 * MIB);

    q8_0.kv_format = KV_Q8_0; /* 34 bytes of 64 */
    assert_ok(partition_plan(&model, &nodes, &q8_0, &plan, &err), err);
    assert_int_equal(plan.kv_format, KV_Q8_0);
    assert_int_equal(plan.kv_tokens, 16 * 1024);
    assert_int_equal(plan.shards[0].kv_bytes, 16 * 1024 * 12 * 544);

    with_draft.draft = &model; /* the file and four contexts of f16 */
    assert_ok(partition_plan(&model, &nodes, &with_draft, &plan, &err), err);
    assert_string_equal(plan.draft, model.name);
    assert_int_equal(plan.shards[0].weight_bytes,
                     130 * MIB + model.file_bytes + 4 * 1000 * 12 * 1024);

    nodes = nodes_of(little, 1); /* 30 MiB left: 2560 tokens of 12 KiB */
    assert_ok(partition_plan(&model, &nodes, &options, &plan, &err), err);
    assert_int_equal(plan.kv_tokens, 2560);

    nodes = nodes_of(tight, 1); /* 12 MiB left: exactly one context */
    assert_ok(partition_plan(&model, &nodes, &options, &plan, &err), err);
    assert_int_equal(plan.kv_tokens, 1024);
}

static void an_explicit_split_wins(void **state)
{
    const uint64_t mib[] = { 1000, 1000, 1000 };
    const uint32_t split[] = { 1, 10, 1 };
    const struct partition_options options = { .split = split, .n_split = 3 };
    const struct model_info model = small_model();
    const struct node_set nodes = nodes_of(mib, 3);
    struct plan plan;
    struct err err;

    (void)state;
    assert_ok(partition_plan(&model, &nodes, &options, &plan, &err), err);
    assert_int_equal(plan.n_shards, 3);
    assert_int_equal(plan.shards[1].n_layers, 10);
    assert_int_equal(plan.shards[2].first_layer, 11);
    assert_int_equal(plan.shards[0].weight_bytes, 14 * MIB);
    assert_int_equal(plan.shards[1].weight_bytes, 100 * MIB);
    assert_int_equal(plan.shards[2].weight_bytes, 16 * MIB);
}

static void a_wrong_split_is_refused(void **state)
{
    const uint64_t mib[] = { 1000, 1000 };
    const uint32_t zero[] = { 0, 12 }, short_of[] = { 5, 6 }, huge[] = { UINT32_MAX, 13 };
    const struct model_info model = small_model();
    const struct node_set nodes = nodes_of(mib, 2);
    struct partition_options options = { .split = zero, .n_split = 2 };
    struct plan plan = { .n_shards = 9 };
    struct err err;

    (void)state;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_RANGE);
    options.split = short_of;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_RANGE);
    assert_non_null(strstr(err.words, "11 layers"));
    options.split = huge;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_RANGE);
    options.n_split = 1;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_RANGE);
    assert_int_equal(plan.n_shards, 9);
}

static void too_much_says_needed_and_available(void **state)
{
    const uint64_t mib[] = { 60, 60 };
    const uint32_t split[] = { 11, 1 };
    struct model_info model = small_model();
    const struct node_set nodes = nodes_of(mib, 2);
    struct partition_options options = { .context_tokens = 1024 };
    struct plan plan;
    struct err err;

    (void)state;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_FULL);
    assert_non_null(strstr(err.words, "0.14 GiB"));
    assert_non_null(strstr(err.words, "0.12 GiB left"));
    assert_non_null(strstr(err.words, "'n1' 0.06"));
    options.split = split;
    options.n_split = 2;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_FULL);

    options = (struct partition_options){ .context_tokens = 2048 };
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_RANGE);
    options.context_tokens = 0;
    model.layer_bytes = UINT64_MAX / 2; /* sums saturate */
    model.file_bytes = 0;
    assert_int_equal(partition_plan(&model, &nodes, &options, &plan, &err), ST_FULL);
}

static uint32_t lcg(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u; /* Numerical Recipes */
    return *x >> 8;
}

static void assert_covers(const struct model_info *model, const struct plan *plan)
{
    uint32_t next = 0;

    for (size_t i = 0; i < plan->n_shards; i++) {
        assert_int_equal(plan->shards[i].first_layer, next);
        assert_true(plan->shards[i].n_layers >= 1);
        next += plan->shards[i].n_layers;
    }
    assert_int_equal(next, model->n_layer);
}

static uint64_t bytes_of(const struct model_info *model, const struct plan *plan, size_t i,
                         uint32_t n_layers)
{
    uint64_t bytes = n_layers * (model->layer_bytes + plan->kv_tokens * model->kv_bytes_per_token);

    if (i == 0)
        bytes += model->embedding_bytes;
    if (i + 1 == plan->n_shards)
        bytes += model->output_bytes;
    return bytes;
}

static void assert_fits(const struct model_info *model, const struct node_set *nodes,
                        const struct plan *plan)
{
    for (size_t i = 0, k = 0; i < plan->n_shards; i++, k++) {
        while (strcmp(nodes->nodes[k].name, plan->shards[i].node) != 0)
            k++; /* runs off the end, into ASan, where ring order is broken */
        const uint64_t bytes = bytes_of(model, plan, i, plan->shards[i].n_layers);

        assert_true(bytes <= nodes->nodes[k].memory_bytes - nodes->nodes[k].memory_used_bytes);
        assert_int_equal(bytes, plan->shards[i].weight_bytes + plan->shards[i].kv_bytes);
    }
}

/* Whether all these nodes, each with a layer or more, could hold the model. */
static bool is_feasible(const struct model_info *model, const struct node_set *nodes)
{
    const struct plan least = { .kv_tokens = (model->context_tokens + 63) / 64 * 64,
                                .n_shards = nodes->n_nodes };
    uint64_t sum = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        uint32_t n = 0;

        while (n < model->n_layer &&
               bytes_of(model, &least, i, n + 1) <=
                   nodes->nodes[i].memory_bytes - nodes->nodes[i].memory_used_bytes)
            n++;
        if (n == 0)
            return false;
        sum += n;
    }
    return sum >= model->n_layer && nodes->n_nodes <= model->n_layer;
}

static void any_plan_covers_fits_and_is_found_where_there_is_one(void **state)
{
    uint32_t x = 20240117, n_planned = 0, n_full = 0;
    struct err err;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        uint64_t mib[8];
        const size_t n = 1 + lcg(&x) % 8;
        struct model_info model = { .name = "m",
                                    .n_layer = 1 + lcg(&x) % 80,
                                    .context_tokens = 64 + lcg(&x) % 4096,
                                    .layer_bytes = 1 + lcg(&x) % (20 * MIB),
                                    .embedding_bytes = lcg(&x) % (40 * MIB),
                                    .output_bytes = lcg(&x) % (40 * MIB),
                                    .kv_bytes_per_token = lcg(&x) % 2048 };
        struct partition_options options = { .uses_all_nodes = lcg(&x) % 2 };
        struct plan plan = { 0 };
        struct node_set nodes;
        enum status s;

        for (size_t i = 0; i < n; i++)
            mib[i] = lcg(&x) % 1024;
        nodes = nodes_of(mib, n);
        for (size_t i = 0; i < n; i++)
            nodes.nodes[i].memory_used_bytes = nodes.nodes[i].memory_bytes / (1 + lcg(&x) % 5);

        s = partition_plan(&model, &nodes, &options, &plan, &err);
        if (s == ST_OK) {
            n_planned++;
            assert_covers(&model, &plan);
            assert_fits(&model, &nodes, &plan);
            assert_true(plan.kv_tokens >= plan.context_tokens);
        } else {
            n_full++;
            assert_true(s == ST_FULL || (s == ST_RANGE && n > model.n_layer));
            assert_false(is_feasible(&model, &nodes));
        }
        if (options.uses_all_nodes)
            assert_int_equal(s == ST_OK, is_feasible(&model, &nodes));
    }
    assert_true(n_planned > 500 && n_full > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_follow_memory),
        cmocka_unit_test(parts_of_teams_are_counted_by_their_shares),
        cmocka_unit_test(the_pool_is_what_is_wanted_or_what_there_is),
        cmocka_unit_test(an_explicit_split_wins),
        cmocka_unit_test(a_wrong_split_is_refused),
        cmocka_unit_test(too_much_says_needed_and_available),
        cmocka_unit_test(any_plan_covers_fits_and_is_found_where_there_is_one),
    };
    return cmocka_run_group_tests_name("partition", tests, NULL, NULL);
}
