/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/partition/test_planner.c - each strategy by hand, pins, remedies and the choice. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "partition/overrides.h"
#include "partition/planner.h"

enum { SINGLE, RING, PIPELINE, TENSOR, HYBRID, REPLICATE, N_STRATEGIES };

/* The nodes of the default cluster, and one more like the first. */
struct fixture {
    struct cost_node nodes[4];
    struct cost_cluster cluster;
    struct plan_shape shape;
    struct plan_workload workload;
    struct planner_input input;
    struct plan_report report;
};

static int set_up(void **state)
{
    static const uint64_t gb[] = { 51, 51, 22, 51 };
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    for (size_t i = 0; i < ARRAY_LEN(f->nodes); i++) {
        struct cost_node *node = &f->nodes[i];

        snprintf(node->name, sizeof(node->name), "s%zu", i + 1);
        node->memory_bytes = gb[i] * 1000000000ull;
        node->most_layers = UINT32_MAX;
        node->speed = (struct node_speed){
            .memory_gbs = 280, .compute_gops = 7500, .layer_us = 130, .disk_gbs = 1
        };
        cost_complete(&node->speed);
        node->n_ports = 1;
        node->ports[0] = (struct cost_port){ 0, 100e-6, 1.25e9 };
    }
    f->cluster = (struct cost_cluster){ .nodes = f->nodes, .n_nodes = 3 };
    assert_true(plan_shape_find("llama-70b-q4_0", &f->shape));
    f->workload.streams = 1;
    f->input = (struct planner_input){ &f->cluster, &f->shape, &f->workload, NULL, 0 };
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    planner_release(&f->report);
    free(f);
    return 0;
}

static const struct plan_option *run(struct fixture *f)
{
    struct err err = { 0 };

    planner_release(&f->report);
    assert_ok(planner_workload(&f->shape, &f->workload, &err), err);
    assert_ok(planner_run(&f->input, &f->report, &err), err);
    assert_int_equal(f->report.n_options, N_STRATEGIES);
    return f->report.options;
}

static void pin(struct fixture *f, const char *text)
{
    struct plan_overrides overrides;
    struct err err = { 0 };

    assert_ok(overrides_parse(text, &overrides, &err), err);
    assert_ok(overrides_apply(&overrides, f->nodes, f->cluster.n_nodes, &err), err);
}

static void the_shapes_have_the_sizes_of_their_files(void **state)
{
    static const struct {
        const char *name;
        double file_gb, parameters_b, layer_params_m;
    } rows[] = {
        { "llama-8b-q4_0", 4.52, 8.03, 218 }, /* 8.03e9 parameters of 4.5 bits */
        { "llama-70b-q4_0", 39.7, 70.6, 856 },
        { "gpt-oss-120b", 65.2, 116.8, 126.4 }, /* 5.1e9 of 116.8e9 are active */
    };
    struct plan_shape shape;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(plan_shape_find(rows[i].name, &shape));
        assert_true(fabs((double)shape.info.file_bytes / 1e9 / rows[i].file_gb - 1) < 0.01);
        assert_true(fabs((double)shape.info.n_parameters / 1e9 / rows[i].parameters_b - 1) < 0.01);
        assert_true(fabs(shape.layer_params / 1e6 / rows[i].layer_params_m - 1) < 0.01);
    }
    assert_false(plan_shape_find("llama", &shape));
}

/* 80 layers of 481 MB and an output of 591 MB, from 280 GB/s, and 81 times 130 us. */
static void one_stream_reads_every_weight_once(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o = run(f);
    const double kv = 512.0 * 4096, read = 80 * (855638016.0 * 4.5 / 8 + kv) + 591e6;
    const double s = read / 280e9 + 81 * 130e-6;

    assert_true(o[SINGLE].is_possible);
    assert_true(fabs(o[SINGLE].prediction.tokens_per_s * s - 1) < 0.001);
    assert_true(fabs(o[SINGLE].prediction.load_s - 39.7) < 0.1);
    assert_true(o[TENSOR].prediction.tokens_per_s > o[SINGLE].prediction.tokens_per_s);
    assert_non_null(o[TENSOR].blocker);
    assert_int_equal(f->report.chosen,
                     SINGLE); /* the tensor plan is faster, and has to be asked for */
    assert_false(o[REPLICATE].is_possible);
}

static void a_plan_with_teams_is_chosen_where_it_is_asked_for_by_name(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;

    f->input.strategy = "tensor";
    o = run(f);
    assert_null(o[TENSOR].blocker);
    assert_int_equal(f->report.chosen, TENSOR);
    assert_true(o[TENSOR].has_teams && o[TENSOR].n_parts > 1);
    assert_non_null(o[HYBRID].blocker);
}

static void experts_that_idle_are_not_read(void **state)
{
    struct fixture *f = *state;
    double one, many;

    assert_true(plan_shape_find("gpt-oss-120b", &f->shape));
    assert_ok(planner_workload(&f->shape, &f->workload, &(struct err){ 0 }), (struct err){ 0 });
    one = cost_layer_s(&f->shape, &f->workload, &f->nodes[0].speed, 1, 0) - 130e-6;
    many = cost_layer_s(&f->shape, &f->workload, &f->nodes[0].speed, 128, 0) - 130e-6;
    assert_true(one * 280e9 < 0.07 * (double)f->shape.info.layer_bytes);
    assert_true(many * 280e9 > 0.97 * (double)f->shape.info.layer_bytes);
}

static void many_streams_keep_a_pipeline_busy(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;

    f->workload.streams = 16;
    o = run(f);
    assert_false(o[SINGLE].is_possible);
    assert_non_null(strstr(o[SINGLE].reason, "GB more on s1"));
    assert_non_null(strstr(o[SINGLE].reason, "a context of at most"));
    assert_non_null(strstr(o[SINGLE].reason, "at most 4 streams"));
    assert_true(o[PIPELINE].is_possible && o[PIPELINE].is_exact);
    assert_true(o[PIPELINE].prediction.tokens_per_s > 5 * o[PIPELINE].prediction.tokens_per_s_one);
    assert_true(f->report.chosen == PIPELINE || f->report.chosen == RING);
    for (size_t i = 0; i < o[PIPELINE].n_parts; i++) {
        const struct plan_part *p = &o[PIPELINE].parts[i];

        assert_true(p->weight_bytes + p->kv_bytes + p->work_bytes <=
                    f->nodes[p->node].memory_bytes);
    }
}

/* What a remedy promises is true, and a little less of it is not enough. */
static void a_remedy_helps(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;
    double gb;
    unsigned context;

    f->cluster.n_nodes = 1;
    f->nodes[0].memory_bytes = 41000000000;
    f->workload.context_tokens = 16384;
    o = run(f);
    assert_false(o[PIPELINE].is_possible);
    assert_int_equal(sscanf(o[SINGLE].reason, "needs %lf GB more on s1, or a context of at most %u",
                            &gb, &context),
                     2);
    assert_string_equal(o[SINGLE].reason, o[PIPELINE].reason);
    assert_int_equal(f->report.chosen, N_STRATEGIES);
    f->nodes[0].memory_bytes += (uint64_t)((gb + 0.1) * 1e9);
    assert_true(run(f)[SINGLE].is_possible);
    f->nodes[0].memory_bytes -= 200000000;
    assert_false(run(f)[SINGLE].is_possible);
    f->nodes[0].memory_bytes = 41000000000;
    f->workload.context_tokens = context;
    assert_true(run(f)[SINGLE].is_possible);
    f->workload.context_tokens = context + 1;
    assert_false(run(f)[SINGLE].is_possible);
}

static void pins_win(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;

    pin(f, "s1=30, s2=40-45 # the middle\ns3");
    o = run(f);
    assert_false(o[SINGLE].is_possible || o[RING].is_possible || o[TENSOR].is_possible);
    assert_int_equal(f->report.chosen, PIPELINE);
    assert_int_equal(o[PIPELINE].n_parts, 3);
    assert_int_equal(o[PIPELINE].parts[0].n_layers, 30);
    assert_in_range(o[PIPELINE].parts[1].n_layers, 40, 45);
    assert_int_equal(o[PIPELINE].parts[2].node, 2);

    pin(f, "s1=50,s2=50,s3=1");
    o = run(f);
    assert_int_equal(f->report.chosen, N_STRATEGIES);
    assert_non_null(strstr(o[PIPELINE].reason, "add up to 80"));

    for (size_t i = 0; i < 3; i++)
        f->nodes[i].least_layers = 0, f->nodes[i].most_layers = UINT32_MAX;
    pin(f, "!s1");
    o = run(f);
    assert_int_equal(o[SINGLE].parts[0].node, 1);
    f->input.strategy = "ring-memory-weighted";
    (void)run(f);
    assert_int_equal(f->report.chosen, RING);
    f->input.strategy = "hybrid"; /* not executed here, so not chosen */
    (void)run(f);
    assert_null(planner_chosen(&f->report));
    f->input.strategy = "magic";
    assert_int_equal(planner_run(&f->input, &f->report, NULL), ST_RANGE);
}

static void layers_follow_speed(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;

    f->workload.streams = 16;
    f->nodes[1].speed.memory_gbs = 140;
    f->nodes[1].speed.compute_gops = 3750;
    f->nodes[0].memory_bytes = f->nodes[1].memory_bytes = 200000000000;
    f->cluster.n_nodes = 2;
    pin(f, "s1,s2");
    o = run(f);
    assert_int_equal(f->report.chosen, PIPELINE); /* twice the speed, about twice the layers */
    assert_in_range(o[PIPELINE].parts[0].n_layers, 50, 56);
    assert_in_range(o[RING].parts[0].n_layers, 39, 41);
    assert_true(o[PIPELINE].prediction.tokens_per_s > 1.2 * o[RING].prediction.tokens_per_s);
}

static void assert_near(double is, double should_be, double relative)
{
    assert_true(fabs(is - should_be) <= relative * fabs(should_be));
}

/* What was measured of the machine is in the time of a step, each term on its own. */
static void every_measured_figure_costs_its_time(void **state)
{
    const struct fixture *f = *state;
    const double hidden = f->shape.info.n_hidden, rows = 4;
    const struct node_speed plain = f->nodes[0].speed;
    const struct node_speed slow = { .memory_gbs = 1, .compute_gops = 1, .overlap = 1 };
    struct node_speed speed = plain;
    double before = cost_layer_s(&f->shape, &f->workload, &plain, rows, 0);

    speed.row_ns = 10;
    assert_near(cost_layer_s(&f->shape, &f->workload, &speed, rows, 0) - before,
                rows * hidden * 10e-9, 1e-6);
    speed = plain;
    before = cost_layer_s(&f->shape, &f->workload, &plain, 1, 1000);
    speed.attend_gops = 100; /* slower than reading the keys */
    assert_near(cost_layer_s(&f->shape, &f->workload, &speed, 1, 1000),
                cost_layer_s(&f->shape, &f->workload, &plain, 1, 0) + 4 * 1000 * hidden / 100e9,
                1e-6);
    assert_true(before < cost_layer_s(&f->shape, &f->workload, &speed, 1, 1000));
    speed = plain;
    before = cost_output_s(&f->shape, &plain, rows);
    speed.sample_ns = 2;
    assert_near(cost_output_s(&f->shape, &speed, rows) - before,
                rows * f->shape.info.n_vocab * 2e-9, 1e-6);
    speed = plain;
    speed.step_us = 70;
    speed.token_us = 5;
    assert_near(cost_output_s(&f->shape, &speed, rows) - before, 70e-6 + rows * 5e-6, 1e-6);
    speed = slow; /* one after the other */
    assert_near(cost_output_s(&f->shape, &speed, rows),
                (double)f->shape.info.output_bytes / 1e9 + 2 * rows * f->shape.output_params / 1e9,
                1e-6);
}

/* Two nodes of one machine take turns: as many flights as nodes do not make them faster. */
static void nodes_of_one_machine_share_it(void **state)
{
    struct fixture *f = *state;
    const struct cost_stage stages[] = { { 0, 40 }, { 1, 40 } };
    double apart, together;

    f->workload =
        (struct plan_workload){ .streams = 64, .context_tokens = 512, .prompt_tokens = 16 };
    apart = cost_cycle_s(&f->cluster, &f->shape, &f->workload, stages, 2);
    for (size_t i = 0; i < 2; i++) {
        f->nodes[i].machine.id = 7;
        f->nodes[i].machine.speed = f->nodes[i].speed;
    }
    together = cost_cycle_s(&f->cluster, &f->shape, &f->workload, stages, 2);
    assert_true(together > apart * 1.9 && together < apart * 2.1);
    f->nodes[1].machine.id = 8;
    assert_near(cost_cycle_s(&f->cluster, &f->shape, &f->workload, stages, 2), apart, 1e-9);
}

static void copies_share_the_streams(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;

    f->cluster.n_nodes = 4;
    f->workload.streams = 9;
    o = run(f);
    assert_true(o[REPLICATE].is_possible);
    assert_int_equal(o[REPLICATE].n_parts, 3); /* s3 is too small */
    assert_int_equal(o[REPLICATE].parts[2].node, 3);
    assert_int_equal(o[REPLICATE].parts[2].group, 2);
}

static void a_team_deals_whole_heads(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o = run(f);
    double sum = 0;

    assert_int_equal(o[TENSOR].n_parts, 3);
    for (size_t i = 0; i < 3; i++) {
        const double heads = o[TENSOR].parts[i].share * 8;

        assert_true(fabs(heads - floor(heads + 0.5)) < 1e-9 && heads >= 1);
        sum += heads;
    }
    assert_true(fabs(sum - 8) < 1e-9);
    f->cluster.n_nodes = 1;
    o = run(f);
    assert_non_null(strstr(o[TENSOR].reason, "two nodes"));
    assert_non_null(strstr(o[HYBRID].reason, "three nodes"));
    f->cluster.n_nodes = 4;
    f->workload.streams = 32;
    f->workload.context_tokens = 4096;
    o = run(f);
    assert_true(o[HYBRID].is_possible);
    assert_int_equal(o[HYBRID].parts[o[HYBRID].n_parts - 1].group, 1);
}

/* Sums of 8 rows: 8 * 32 KiB, of which 16 bits are half and 8 bits 28 %. */
static void a_shorter_wire_makes_sums_shorter(void **state)
{
    struct fixture *f = *state;
    double s[N_SUM_FORMATS];

    f->cluster.n_nodes = 2;
    f->workload.streams = 8;
    f->workload.context_tokens = 2048;
    for (int i = 0; i < N_SUM_FORMATS; i++) {
        f->workload.sums = (enum sum_format)i;
        s[i] = 8 / run(f)[TENSOR].prediction.tokens_per_s;
    }
    assert_near(s[SUM_F32] - s[SUM_F16], 2 * 81 * 0.5 * 262144 / 1.25e9, 0.01);
    assert_near(s[SUM_F32] - s[SUM_Q8], 2 * 81 * 0.71875 * 262144 / 1.25e9, 0.01);
}

static void a_slow_link_inside_or_between_teams_is_felt(void **state)
{
    struct cost_pair pairs[] = { { 0, 1, 50e-6, 1e9 }, { 0, 2, 50e-6, 1e9 }, { 0, 3, 50e-6, 1e9 },
                                 { 1, 2, 50e-6, 1e9 }, { 1, 3, 50e-6, 1e9 }, { 2, 3, 50e-6, 1e9 } };
    struct fixture *f = *state;
    double fast, between, inside;

    f->cluster = (struct cost_cluster){ f->nodes, 4, pairs, ARRAY_LEN(pairs) };
    f->input.strategy = "hybrid";
    f->input.team_size = 2;
    pin(f, "s1,s2,s3,s4");
    fast = 1 / run(f)[HYBRID].prediction.tokens_per_s;
    pairs[4].latency_s = 5e-3; /* the second members' of both teams */
    between = 1 / run(f)[HYBRID].prediction.tokens_per_s;
    pairs[4].latency_s = 50e-6;
    pairs[5].latency_s = 5e-3; /* of the last team's members */
    inside = 1 / run(f)[HYBRID].prediction.tokens_per_s;
    assert_near(between - fast, 2 * 4.95e-3, 0.01);
    assert_true(inside - fast > between - fast); /* a layer at least is there, and the output */
    pairs[5].latency_s = 50e-6;
    pairs[2].latency_s = pairs[3].latency_s = 5e-3; /* which nothing is sent over */
    assert_near(1 / run(f)[HYBRID].prediction.tokens_per_s, fast, 1e-6);
}

static void members_of_one_machine_are_as_fast_as_it_is(void **state)
{
    struct fixture *f = *state;
    double apart, together;

    f->cluster.n_nodes = 2;
    apart = 1 / run(f)[TENSOR].prediction.tokens_per_s;
    for (size_t i = 0; i < 2; i++)
        f->nodes[i].machine = (struct node_machine){ 7, f->nodes[i].speed };
    together = 1 / run(f)[TENSOR].prediction.tokens_per_s;
    /* what each read of half of the weights, both read of all, one after the other */
    assert_near(together - apart, 39.3e9 / 2 / 280e9, 0.02);
}

/* Who is pinned takes part, and so one stream may have several teams. */
static void teams_have_the_size_that_is_asked_for(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o;

    f->cluster.n_nodes = 4;
    f->input.strategy = "hybrid";
    pin(f, "s1,s2,s3,s4");
    for (uint32_t size = 2; size <= 3; size++) {
        uint32_t n_first = 0;

        f->input.team_size = size;
        o = run(f);
        assert_true(o[HYBRID].is_possible);
        assert_int_equal(o[HYBRID].n_parts, 4);
        for (size_t i = 0; i < 4; i++)
            n_first += o[HYBRID].parts[i].group == 0;
        assert_int_equal(n_first, size);
        assert_int_equal(f->report.chosen, HYBRID);
    }
    f->input.team_size = 4;
    assert_false(run(f)[HYBRID].is_possible);
}

static void energy_is_known_where_every_node_s_is(void **state)
{
    struct fixture *f = *state;
    const struct plan_option *o = run(f);

    assert_true(fabs(o[SINGLE].prediction.joules_per_token) <= 0);
    for (size_t i = 0; i < 3; i++)
        f->nodes[i].speed.watts = 60;
    o = run(f); /* one stream, so the node computes all the time */
    assert_true(fabs(o[SINGLE].prediction.joules_per_token * o[SINGLE].prediction.tokens_per_s -
                     60) < 0.01);
}

/* More nodes than a plan can name: those with the most memory, in ring order. */
static void a_ring_is_cut_among_the_largest(void **state)
{
    enum { MANY = 300 };
    struct fixture *f = *state;
    struct cost_node *nodes = calloc(MANY, sizeof(*nodes));
    const struct plan_option *o;

    assert_non_null(nodes);
    for (size_t i = 0; i < MANY; i++) {
        nodes[i] = f->nodes[0];
        snprintf(nodes[i].name, sizeof(nodes[i].name), "m%zu", i);
        nodes[i].memory_bytes = 2000000000;
    }
    nodes[299].memory_bytes = nodes[250].memory_bytes = 3000000000;
    f->cluster = (struct cost_cluster){ .nodes = nodes, .n_nodes = MANY };
    o = run(f);
    assert_true(o[RING].is_possible && o[PIPELINE].is_possible);
    assert_int_equal(o[RING].parts[o[RING].n_parts - 1].node, 299);
    assert_int_equal(o[RING].parts[o[RING].n_parts - 2].node, 250);
    free(nodes);
}

static void wrong_pins_are_named(void **state)
{
    static const char *const rows[] = { "a=",
                                        "=3",
                                        "a=x",
                                        "a=5-3",
                                        "a=1-",
                                        "!a=3",
                                        "a,a",
                                        "a=99999999999",
                                        "strategy=",
                                        "a=-1",
                                        "!",
                                        "strategy=hybrid:",
                                        "strategy=hybrid:1",
                                        "strategy=hybrid:2x" };
    struct plan_overrides overrides = { .n_pins = 77 };
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (overrides_parse(rows[i], &overrides, &err) != ST_RANGE)
            fail_msg("accepted: %s", rows[i]);
    assert_int_equal(overrides.n_pins, 77);
    assert_ok(overrides_parse(" # nothing\n", &overrides, &err), err);
    assert_int_equal(overrides.n_pins, 0);
    assert_ok(overrides_parse("strategy=tensor,x=0", &overrides, &err), err);
    assert_string_equal(overrides.strategy, "tensor");
    assert_int_equal(overrides_apply(&overrides, NULL, 0, &err), ST_NOTFOUND);
    assert_ok(overrides_parse("strategy=hybrid:2,strategy=3", &overrides, &err), err);
    assert_string_equal(overrides.strategy, "hybrid");
    assert_int_equal(overrides.team_size, 2);
    assert_int_equal(overrides.n_pins, 1); /* a node of that name */
}

static void numbers_out_of_range_are_refused(void **state)
{
    struct fixture *f = *state;
    struct plan_workload w = { .context_tokens = 200000 };
    struct err err;

    assert_int_equal(planner_workload(&f->shape, &w, &err), ST_RANGE);
    w = (struct plan_workload){ .context_tokens = 100, .prompt_tokens = 101 };
    assert_int_equal(planner_workload(&f->shape, &w, &err), ST_RANGE);
    w = (struct plan_workload){ .streams = COST_STREAMS_MAX + 1 };
    assert_int_equal(planner_workload(&f->shape, &w, &err), ST_RANGE);
    f->shape.info.layer_bytes = UINT64_MAX / 3;
    f->shape.info.file_bytes = 0;
    (void)run(f);
    assert_int_equal(f->report.chosen, N_STRATEGIES);
    f->cluster.n_nodes = 0;
    assert_int_equal(planner_run(&f->input, &f->report, &err), ST_RANGE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_shapes_have_the_sizes_of_their_files),
        TEST(one_stream_reads_every_weight_once),
        TEST(a_plan_with_teams_is_chosen_where_it_is_asked_for_by_name),
        TEST(experts_that_idle_are_not_read),
        TEST(many_streams_keep_a_pipeline_busy),
        TEST(a_remedy_helps),
        TEST(pins_win),
        TEST(layers_follow_speed),
        TEST(every_measured_figure_costs_its_time),
        TEST(nodes_of_one_machine_share_it),
        TEST(copies_share_the_streams),
        TEST(a_team_deals_whole_heads),
        TEST(a_shorter_wire_makes_sums_shorter),
        TEST(a_slow_link_inside_or_between_teams_is_felt),
        TEST(members_of_one_machine_are_as_fast_as_it_is),
        TEST(teams_have_the_size_that_is_asked_for),
        TEST(energy_is_known_where_every_node_s_is),
        TEST(a_ring_is_cut_among_the_largest),
        TEST(wrong_pins_are_named),
        TEST(numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests_name("partition/planner", tests, NULL, NULL);
}
