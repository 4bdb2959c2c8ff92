/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_cluster.c - three nodes find one another, place and unplace. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "nodes.h"

static bool all_rtts_known(void *arg)
{
    struct nodes *nodes = arg;
    struct cluster_member members[N_NODES];

    (void)cluster_members(nodes->node[1].cluster, members, N_NODES);
    return members[0].rtt_ms > 0 && members[2].rtt_ms > 0;
}

static void nodes_find_one_another_in_any_order(void **state)
{
    struct nodes *nodes = *state;
    struct cluster_member members[N_NODES];
    struct model_info models[4];
    struct node_set set;

    node_start(nodes, 2, "good");
    node_start(nodes, 0, "good");
    node_start(nodes, 1, "good");
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_alive(nodes, i, N_NODES);
    nodes_until(nodes, all_rtts_known, nodes, "round trips known");

    (void)cluster_members(nodes->node[1].cluster, members, N_NODES);
    assert_string_equal(members[2].id, "00000000000000000000000000000003");
    assert_int_equal(members[2].memory_bytes, 1000);
    assert_true(members[1].is_local && !members[2].is_local);
    assert_int_equal(cluster_models(nodes->node[1].cluster, models, 4), 1);
    cluster_nodes(nodes->node[1].cluster, "m", &set);
    assert_int_equal(set.n_nodes, N_NODES);
    for (size_t i = 0; i < N_NODES; i++)
        assert_true(set.nodes[i].is_alive && set.nodes[i].holds_model);
}

static bool load_is_known(void *arg)
{
    struct nodes *nodes = arg;
    struct cluster_instance in;

    assert_int_equal(cluster_instances(nodes->node[0].cluster, &in, 1), 1);
    return in.n_generated_tokens == 1234 && in.view.n_active == 3;
}

static void a_plan_over_all_nodes_is_ready_on_all(void **state)
{
    struct nodes *nodes = *state;
    struct cluster_instance placed, seen;
    struct cluster_member members[N_NODES];

    nodes_start(nodes);
    placed = place_ready(nodes, 2, "abc");
    assert_int_equal(placed.view.driver.port, 2002);
    assert_float_equal(placed.load_seconds, 0.5, 0);
    for (size_t i = 0; i < N_NODES; i++) {
        assert_int_equal(cluster_instances(nodes->node[i].cluster, &seen, 1), 1);
        assert_string_equal(seen.view.id, placed.view.id);
        assert_memory_equal(seen.view.driver.key, placed.view.driver.key, INSTANCE_KEY_BYTES);
        assert_memory_equal(&seen.plan, &placed.plan, sizeof(seen.plan));
        (void)cluster_members(nodes->node[i].cluster, members, N_NODES);
        assert_int_equal(members[1].memory_used_bytes, 110);
    }
    nodes_until(nodes, load_is_known, nodes, "the driver's load told to a follower's node");
}

static void progress_is_told_before_the_end(void **state)
{
    struct nodes *nodes = *state;
    const struct plan plan = plan_over("ab");
    struct placement placement;
    struct err err;

    nodes_start(nodes);
    assert_ok(node_place(nodes, 2, &plan, &placement, &err), err);
    nodes_until_placed(nodes, &placement);
    assert_true(placement.is_ready);
    assert_true(placement.n_progress >= 2);
    assert_int_equal(placement.n_done, 1);
}

static void two_who_ask_at_once_get_one_instance(void **state)
{
    struct nodes *nodes = *state;
    const struct plan one = plan_over("ab"), other = plan_over("bc");
    struct placement first, second;
    struct err err;

    nodes_start(nodes);
    assert_ok(node_place(nodes, 1, &one, &first, &err), err);
    assert_ok(node_place(nodes, 2, &other, &second, &err), err);
    nodes_until_placed(nodes, &first);
    nodes_until_placed(nodes, &second);
    assert_true(first.is_ready && second.is_ready);
    assert_string_equal(first.instance.view.id, second.instance.view.id);
    assert_int_equal(n_instances(nodes, 0, INSTANCE_READY), 1);
}

static void asking_again_joins_and_another_plan_adds(void **state)
{
    struct nodes *nodes = *state;
    const struct plan same = plan_over("ab"), other = plan_over("c");
    struct cluster_instance placed;
    struct placement again;
    struct err err;

    nodes_start(nodes);
    placed = place_ready(nodes, 0, "ab");
    assert_ok(node_place(nodes, 0, &same, &again, &err), err);
    assert_int_equal(again.n_done, 0); /* never inside the call */
    nodes_until_placed(nodes, &again);
    assert_string_equal(again.instance.view.id, placed.view.id);

    assert_ok(node_place(nodes, 2, &other, &again, &err), err);
    nodes_until_placed(nodes, &again);
    assert_true(again.is_ready);
    assert_string_not_equal(again.instance.view.id, placed.view.id);
    nodes_until_instances(nodes, 1, INSTANCE_READY, 2);
}

static void plans_that_cannot_be_are_refused_at_once(void **state)
{
    struct nodes *nodes = *state;
    struct plan plan = plan_over("ab");
    struct placement p;
    struct err err;

    nodes_start(nodes);
    plan.shards[1].n_layers--;
    assert_int_equal(node_place(nodes, 0, &plan, &p, &err), ST_RANGE);
    plan = plan_over("aa");
    assert_int_equal(node_place(nodes, 0, &plan, &p, &err), ST_RANGE);
    plan = plan_over("ax");
    assert_int_equal(node_place(nodes, 0, &plan, &p, &err), ST_NOTFOUND);
    plan = plan_over("ab");
    snprintf(plan.model, sizeof(plan.model), "other");
    assert_int_equal(node_place(nodes, 0, &plan, &p, &err), ST_NOTFOUND);
    assert_int_equal(node_place(nodes, 2, &plan, &p, &err), ST_NOTFOUND);
    plan = plan_over("ax");
    assert_int_equal(node_place(nodes, 2, &plan, &p, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'x' is not alive"));
}

/* a and b tell nothing of theirs, as older nodes. */
static void ranks_that_do_not_understand_one_another_are_not_put_together(void **state)
{
    struct nodes *nodes = *state;
    struct plan plan = plan_over("ac");
    struct placement p;
    struct err err;

    nodes->step_version[2] = 2;
    nodes_start(nodes);
    for (size_t i = 0; i < N_NODES; i++) {
        assert_int_equal(node_place(nodes, i, &plan, &p, &err), ST_UNSUPPORTED);
        assert_non_null(strstr(err.words, "'a' and 'c'"));
    }
    (void)place_ready(nodes, 2, "ab");
}

static void unplacing_ends_it_on_every_node(void **state)
{
    struct nodes *nodes = *state;
    struct err err;

    nodes_start(nodes);
    (void)place_ready(nodes, 0, "abc");
    assert_ok(node_unplace(nodes, 2, "m", &err), err);
    assert_int_equal(nodes->node[2].n_gone, 1);
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_instances(nodes, i, INSTANCE_READY, 0);
    assert_no_child(nodes);
    assert_int_equal(node_unplace(nodes, 2, "m", &err), ST_NOTFOUND);
}

static void who_forgets_is_not_called(void **state)
{
    struct nodes *nodes = *state;
    const struct plan plan = plan_over("abc");
    struct placement forgotten;
    struct err err;

    nodes_start(nodes);
    assert_ok(node_place(nodes, 1, &plan, &forgotten, &err), err);
    cluster_place_forget(nodes->node[1].cluster, forgotten.ticket);
    nodes_until_instances(nodes, 1, INSTANCE_READY, 1);
    assert_int_equal(forgotten.n_done + forgotten.n_progress, 0);
}

static void a_node_that_joins_late_learns_what_is_placed(void **state)
{
    struct nodes *nodes = *state;

    node_start(nodes, 0, "good");
    node_start(nodes, 1, "good");
    nodes_until_alive(nodes, 0, 2);
    (void)place_ready(nodes, 1, "ab");
    node_start(nodes, 2, "good");
    nodes_until_instances(nodes, 2, INSTANCE_READY, 1);
}

static void a_node_alone_needs_no_peers(void **state)
{
    struct nodes *nodes = *state;
    const struct plan plan = plan_over("a");
    const struct cluster_options alone = { .cluster_name = "alone",
                                           .node_name = "a",
                                           .node_id = "1",
                                           .host = "127.0.0.1",
                                           .memory_bytes = 1000,
                                           .runner_program = "/nonexistent/pomona" };
    const struct cluster_events none = { .on_change = NULL };
    const struct cluster_model model = { { .name = "m", .architecture = "x", .n_layer = N_LAYERS },
                                         "/x" };
    struct placement p;
    struct err err;

    assert_ok(cluster_new(nodes->loop, &alone, &none, NULL, &nodes->node[0].cluster, &err), err);
    assert_ok(cluster_set_models(nodes->node[0].cluster, &model, 1, &err), err);
    assert_ok(node_place(nodes, 0, &plan, &p, &err), err);
    nodes_until_placed(nodes, &p);
    assert_false(p.is_ready);
    assert_non_null(strstr(p.failure.words, "/nonexistent/pomona"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_set_up, nodes_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nodes_find_one_another_in_any_order),
        TEST(a_plan_over_all_nodes_is_ready_on_all),
        TEST(progress_is_told_before_the_end),
        TEST(two_who_ask_at_once_get_one_instance),
        TEST(asking_again_joins_and_another_plan_adds),
        TEST(plans_that_cannot_be_are_refused_at_once),
        TEST(ranks_that_do_not_understand_one_another_are_not_put_together),
        TEST(unplacing_ends_it_on_every_node),
        TEST(who_forgets_is_not_called),
        TEST(a_node_that_joins_late_learns_what_is_placed),
        TEST(a_node_alone_needs_no_peers),
    };
#undef TEST
    return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
