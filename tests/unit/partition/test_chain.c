/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/partition/test_chain.c - no pipeline is faster than the one that is found.
 *
 * Every pipeline of small clusters is tried, with times and bytes from the
 * cost model alone; a large cluster bounds the work that a search may take.
 */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/chain.h"

enum { SMALL_NODES = 5, SMALL_LAYERS = 7, LARGE_NODES = 1000 };

static uint32_t lcg(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u; /* Numerical Recipes */
    return *x >> 8;
}

/* 10 MB a layer, 15 MB of embedding, 25 MB of output matrix. */
static struct plan_shape shape_of(uint32_t n_layers)
{
    return (struct plan_shape){ .info = { .name = "m",
                                          .n_layer = n_layers,
                                          .n_hidden = 64,
                                          .n_vocab = 100,
                                          .context_tokens = 1024,
                                          .layer_bytes = 10000000,
                                          .embedding_bytes = 15000000,
                                          .output_bytes = 25000000,
                                          .kv_bytes_per_token = 256 },
                                .n_kv_heads = 8,
                                .layer_params = 2e7,
                                .output_params = 4e7 };
}

static void random_node(uint32_t *x, struct cost_node *node, size_t n)
{
    *node = (struct cost_node){ .most_layers = UINT32_MAX };
    snprintf(node->name, sizeof(node->name), "n%zu", n);
    node->memory_bytes = (10 + lcg(x) % 90) * 1000000ull;
    node->speed.memory_gbs = 1 + lcg(x) % 20;
    node->speed.compute_gops = 10 + lcg(x) % 100;
    cost_complete(&node->speed);
    for (uint32_t i = 0; i < 2; i++)
        if (lcg(x) % 3 > 0)
            node->ports[node->n_ports++] =
                (struct cost_port){ i, (1 + lcg(x) % 3) * 1e-3, (1 + lcg(x) % 3) * 1e6 };
}

/* All that a try of every pipeline needs. */
struct every {
    const struct cost_cluster *cluster;
    const struct plan_shape *shape;
    const struct plan_workload *workload;
    struct cost_stage stages[SMALL_LAYERS];
    double best_s;
};

static bool is_allowed(const struct every *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct cost_node *node = &e->cluster->nodes[e->stages[i].node];
        const enum cost_role role = n == 1       ? COST_ONLY
                                    : i == 0     ? COST_FIRST
                                    : i + 1 == n ? COST_LAST
                                                 : COST_MIDDLE;
        const uint32_t m = e->stages[i].n_layers;

        if (m < node->least_layers || m > node->most_layers ||
            cost_bytes(e->shape, e->workload, role, m, NULL, NULL, NULL) > node->memory_bytes)
            return false;
    }
    for (size_t k = 0; k < e->cluster->n_nodes; k++) {
        bool is_used = false;

        for (size_t i = 0; i < n; i++)
            is_used |= e->stages[i].node == k;
        if (!is_used && e->cluster->nodes[k].least_layers > 0)
            return false;
    }
    return true;
}

static void try_every(struct every *e, size_t n, size_t next_node, uint32_t layers_left)
{
    if (layers_left == 0 && is_allowed(e, n))
        e->best_s = fmin(e->best_s, cost_cycle_s(e->cluster, e->shape, e->workload, e->stages, n));
    for (size_t k = next_node; k < e->cluster->n_nodes; k++)
        for (uint32_t m = 1; m <= layers_left; m++) {
            e->stages[n] = (struct cost_stage){ (uint32_t)k, m };
            try_every(e, n + 1, k + 1, layers_left - m);
        }
}

static void assert_found(const struct every *e, const struct chain_result *found)
{
    const double s =
        cost_cycle_s(e->cluster, e->shape, e->workload, found->stages, found->n_stages);
    struct every given = *e;

    memcpy(given.stages, found->stages, found->n_stages * sizeof(found->stages[0]));
    assert_true(is_allowed(&given, found->n_stages));
    assert_true(found->is_exact && found->n_steps > 0);
    if (!(s <= e->best_s * (1 + 2 * CHAIN_TOLERANCE)) || s < e->best_s * (1 - 1e-9))
        fail_msg("%zu stages take %.6f s, the best %.6f s", found->n_stages, s, e->best_s);
}

static void no_pipeline_is_faster(void **state)
{
    uint32_t x = 20240117, n_found = 0, n_full = 0, n_long = 0;
    struct err err;

    (void)state;
    for (int round = 0; round < 1500; round++) {
        struct cost_node nodes[SMALL_NODES];
        struct cost_pair pair = { 0, 1, 1e-4, 1e7 };
        const struct cost_cluster cluster = { nodes, 1 + lcg(&x) % SMALL_NODES, &pair,
                                              lcg(&x) % 3 == 0 };
        const struct plan_shape shape = shape_of(1 + lcg(&x) % SMALL_LAYERS);
        const struct plan_workload workload = { .streams = 1 + lcg(&x) % 6,
                                                .context_tokens = 1024,
                                                .prompt_tokens = 512 };
        struct every every = {
            .cluster = &cluster, .shape = &shape, .workload = &workload, .best_s = INFINITY
        };
        struct chain_result found;
        enum status s;

        for (size_t k = 0; k < SMALL_NODES; k++) {
            random_node(&x, &nodes[k], k);
            if (lcg(&x) % 8 == 0)
                nodes[k].least_layers = 1 + lcg(&x) % 2;
            if (lcg(&x) % 8 == 0)
                nodes[k].most_layers = nodes[k].least_layers + lcg(&x) % 2;
        }
        if (cluster.n_nodes < 2)
            pair.b = 0; /* of nobody */
        try_every(&every, 0, 0, shape.info.n_layer);
        s = chain_solve(&cluster, &shape, &workload, CHAIN_STEPS_MAX, &found, &err);
        assert_int_equal(s, isfinite(every.best_s) ? ST_OK : ST_FULL);
        n_full += s == ST_FULL;
        if (s != ST_OK)
            continue;
        assert_found(&every, &found);
        n_found++;
        n_long += found.n_stages > 2;
        free(found.stages);
    }
    if (n_found < 300 || n_full < 300 || n_long < 50)
        fail_msg("%u found, %u full, %u long: not a fair sample", n_found, n_full, n_long);
}

/* 80 layers over a thousand nodes of random speeds, in one network and in several. */
static void a_thousand_nodes_stay_within_the_bound(void **state)
{
    struct cost_node *nodes = calloc(LARGE_NODES, sizeof(*nodes));
    const struct cost_cluster cluster = { .nodes = nodes, .n_nodes = LARGE_NODES };
    const struct plan_shape shape = shape_of(80);
    uint32_t x = 7;
    struct err err;

    (void)state;
    assert_non_null(nodes);
    for (int mixed = 0; mixed < 2; mixed++)
        for (uint32_t streams = 1; streams <= 64; streams += 63) {
            const struct plan_workload workload = { .streams = streams,
                                                    .context_tokens = 64,
                                                    .prompt_tokens = 64 };
            struct chain_result found;
            uint32_t sum = 0;

            for (size_t k = 0; k < LARGE_NODES; k++) {
                random_node(&x, &nodes[k], k);
                if (!mixed) {
                    nodes[k].n_ports = 1;
                    nodes[k].ports[0] = (struct cost_port){ 0, 1e-4, 1e9 };
                }
            }
            if (chain_solve(&cluster, &shape, &workload, CHAIN_STEPS_MAX, &found, &err) != ST_OK)
                fail_msg("mixed %d, %u streams: %s", mixed, streams, err.words);
            assert_true(found.n_steps <= CHAIN_STEPS_MAX);
            for (size_t i = 0; i < found.n_stages; i++)
                sum += found.stages[i].n_layers;
            assert_int_equal(sum, 80);
            if (streams == 1 && !mixed)
                assert_true(found.is_exact);
            free(found.stages);
        }
    free(nodes);
}

static void too_much_is_refused(void **state)
{
    struct cost_node node = { .memory_bytes = UINT64_MAX, .most_layers = UINT32_MAX };
    const struct cost_cluster cluster = { .nodes = &node, .n_nodes = 1 };
    const struct plan_workload workload = { .streams = 1, .context_tokens = 1, .prompt_tokens = 1 };
    struct plan_shape shape = shape_of(70000);
    struct chain_result found = { .n_stages = 9 };
    struct err err;

    (void)state;
    cost_complete(&node.speed);
    assert_int_equal(chain_solve(&cluster, &shape, &workload, CHAIN_STEPS_MAX, &found, &err),
                     ST_RANGE);
    shape = shape_of(8);
    shape.info.layer_bytes = UINT64_MAX / 2; /* sums saturate */
    node.memory_bytes = 1ull << 40;
    assert_int_equal(chain_solve(&cluster, &shape, &workload, CHAIN_STEPS_MAX, &found, &err),
                     ST_FULL);
    assert_int_equal(found.n_stages, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_pipeline_is_faster),
        cmocka_unit_test(a_thousand_nodes_stay_within_the_bound),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests_name("partition/chain", tests, NULL, NULL);
}
