/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/select/test_select.c - who may hold a model, and who is taken first. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "select/select.h"

#define GIB (1ull << 30)

static const struct model_info model = { .name = "m" };

/* Nodes a, b, c in ring order, alive, holding the model, 8 GiB each; c asks. */
static struct node_set three_nodes(void)
{
    struct node_set all = { .n_nodes = 3 };

    for (uint32_t i = 0; i < 3; i++) {
        snprintf(all.nodes[i].name, NODE_NAME_MAX, "%c", 'a' + (int)i);
        all.nodes[i].is_alive = true;
        all.nodes[i].holds_model = true;
        all.nodes[i].is_local = i == 2;
        all.nodes[i].ring_position = i;
        all.nodes[i].memory_bytes = 8 * GIB;
    }
    return all;
}

static void dead_nodes_and_nodes_without_the_model_are_left_out(void **state)
{
    struct node_set all = three_nodes(), got;
    struct err err;

    (void)state;
    all.nodes[0].is_alive = false;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_int_equal(got.n_nodes, 2);
    assert_string_equal(got.nodes[0].name, "b");

    all.nodes[1].holds_model = false;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_int_equal(got.n_nodes, 1);
    assert_string_equal(got.nodes[0].name, "c");
}

/* Of two versions the one with more memory, of as much the newer; nodes that are named are not changed. */
static void an_instance_is_of_one_version(void **state)
{
    const char *const named[] = { "a", "c" };
    const struct select_options options = { named, 2 };
    struct node_set all = three_nodes(), got;
    struct err err;

    (void)state;
    all.nodes[0].step_version = all.nodes[1].step_version = 1;
    all.nodes[2].step_version = 2;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_int_equal(got.n_nodes, 2);
    assert_string_equal(got.nodes[1].name, "b");

    all.nodes[1].is_alive = false;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_int_equal(got.n_nodes, 1);
    assert_string_equal(got.nodes[0].name, "c");

    assert_int_equal(select_nodes(&model, &all, &options, &got, &err), ST_UNSUPPORTED);
    assert_non_null(strstr(err.words, "'a' and 'c' run versions"));
}

static void a_node_that_drains_is_left_out(void **state)
{
    const char *const named[] = { "b" };
    const struct select_options options = { named, 1 };
    struct node_set all = three_nodes(), got;
    struct err err;

    (void)state;
    all.nodes[1].is_draining = true;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_int_equal(got.n_nodes, 2);
    assert_int_equal(select_nodes(&model, &all, &options, &got, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'b' is being drained"));
}

static void nobody_left_names_each_reason(void **state)
{
    struct node_set all = three_nodes(), got;
    struct err err;

    (void)state;
    all.nodes[0].is_alive = false;
    all.nodes[1].holds_model = false;
    all.nodes[2].holds_model = false;
    assert_int_equal(select_nodes(&model, &all, NULL, &got, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'a' is not alive, 'b' does not hold the model,"));
    all.n_nodes = 0;
    assert_int_equal(select_nodes(&model, &all, NULL, &got, &err), ST_NOTFOUND);
}

static void named_nodes_come_in_the_order_asked(void **state)
{
    const char *const names[] = { "c", "a" };
    const struct select_options options = { .nodes = names, .n_nodes = 2 };
    struct node_set all = three_nodes(), got;
    struct err err;

    (void)state;
    assert_ok(select_nodes(&model, &all, &options, &got, &err), err);
    assert_int_equal(got.n_nodes, 2);
    assert_string_equal(got.nodes[0].name, "c");
    assert_string_equal(got.nodes[1].name, "a");
}

static void a_named_node_that_cannot_is_named_back(void **state)
{
    const char *const unknown[] = { "a", "x" }, *const twice[] = { "a", "a" };
    struct select_options options = { .nodes = unknown, .n_nodes = 2 };
    struct node_set all = three_nodes(), got = { .n_nodes = 7 };
    struct err err;

    (void)state;
    assert_int_equal(select_nodes(&model, &all, &options, &got, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'x' is not a node"));
    all.nodes[0].is_alive = false;
    assert_int_equal(select_nodes(&model, &all, &options, &got, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'a' is not alive"));
    all.nodes[0].is_alive = true;
    options.nodes = twice;
    assert_int_equal(select_nodes(&model, &all, &options, &got, &err), ST_RANGE);
    options.n_nodes = 0;
    assert_int_equal(select_nodes(&model, &all, &options, &got, &err), ST_RANGE);
    assert_int_equal(got.n_nodes, 7);
}

static void free_memory_outweighs_being_local(void **state)
{
    struct node_set all = three_nodes(), got;
    struct err err;

    (void)state;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_true(got.nodes[2].score > got.nodes[0].score);
    all.nodes[0].memory_bytes = 16 * GIB;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_true(got.nodes[0].score > got.nodes[2].score);
    all.nodes[0].memory_used_bytes = 12 * GIB;
    assert_ok(select_nodes(&model, &all, NULL, &got, &err), err);
    assert_true(got.nodes[0].score < got.nodes[1].score);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dead_nodes_and_nodes_without_the_model_are_left_out),
        cmocka_unit_test(an_instance_is_of_one_version),
        cmocka_unit_test(a_node_that_drains_is_left_out),
        cmocka_unit_test(nobody_left_names_each_reason),
        cmocka_unit_test(named_nodes_come_in_the_order_asked),
        cmocka_unit_test(a_named_node_that_cannot_is_named_back),
        cmocka_unit_test(free_memory_outweighs_being_local),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
