/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_drain.c - a node that drains says so to all, and no plan names it. */
#include "support/check.h"

#include <string.h>

#include "nodes.h"

static size_t n_seeing_b_drain(struct nodes *nodes)
{
    struct cluster_member members[N_NODES];
    size_t n = 0;

    for (size_t i = 0; i < N_NODES; i++) {
        (void)cluster_members(nodes->node[i].cluster, members, N_NODES);
        n += members[1].is_draining && strcmp(members[1].drained_by, "monitor/c") == 0;
    }
    return n;
}

static bool all_see_b_drain(void *arg)
{
    return n_seeing_b_drain(arg) == N_NODES;
}

static bool none_sees_b_drain(void *arg)
{
    return n_seeing_b_drain(arg) == 0;
}

/* Beside the one there is. */
static void place_another(struct nodes *nodes, const char *names)
{
    const struct plan plan = plan_over(names);
    struct placement p;
    struct err err;

    assert_ok(node_place(nodes, 0, &plan, &p, &err), err);
    nodes_until_placed(nodes, &p);
    assert_true(p.is_ready);
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_instances(nodes, i, INSTANCE_READY, 2);
}

static void a_draining_node_is_named_by_no_plan_until_it_takes_part_again(void **state)
{
    struct nodes *nodes = *state;
    const struct plan plan = plan_over("ab");
    struct cluster_instance seen;
    struct placement p;
    struct err err;

    nodes_start(nodes);
    (void)place_ready(nodes, 0, "bc");
    (void)cluster_instances(nodes->node[0].cluster, &seen, 1);
    assert_false(seen.is_leaving);

    assert_ok(cluster_drain(nodes->node[2].cluster, "b", DRAIN_ON, "monitor/c", &err), err);
    nodes_until(nodes, all_see_b_drain, nodes, "all know that b drains");
    (void)cluster_instances(nodes->node[0].cluster, &seen, 1);
    assert_true(seen.is_leaving);
    assert_int_equal(n_instances(nodes, 1, INSTANCE_READY), 1); /* it stays until it is ended */

    assert_int_equal(node_place(nodes, 0, &plan, &p, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'b' is being drained"));

    assert_ok(cluster_drain(nodes->node[1].cluster, "b", DRAIN_OFF, "", &err), err);
    nodes_until(nodes, none_sees_b_drain, nodes, "all know that b takes part");
    place_another(nodes, "ab");
}

static void one_instance_is_ended_and_says_why(void **state)
{
    struct nodes *nodes = *state;
    struct cluster_instance first;
    struct err err, why;

    nodes_start(nodes);
    first = place_ready(nodes, 0, "ab");
    place_another(nodes, "c");
    (void)err_set(&why, ST_PEER, "it has to go");
    assert_ok(cluster_end(nodes->node[1].cluster, first.view.id, &why, &err), err);
    for (size_t i = 0; i < N_NODES; i++) {
        nodes_until_instances(nodes, i, INSTANCE_READY, 1);
        assert_string_equal(nodes->node[i].gone_words, "it has to go");
    }
    assert_int_equal(cluster_end(nodes->node[1].cluster, first.view.id, &why, &err), ST_NOTFOUND);
}

static void only_nodes_that_are_there_can_be_drained(void **state)
{
    struct nodes *nodes = *state;
    struct err err;

    nodes_start(nodes);
    node_stop(nodes, 2);
    nodes_until_alive(nodes, 0, 2);
    assert_int_equal(cluster_drain(nodes->node[0].cluster, "c", DRAIN_ON, "", &err), ST_PEER);
    assert_int_equal(cluster_drain(nodes->node[0].cluster, "x", DRAIN_ON, "", &err), ST_NOTFOUND);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_set_up, nodes_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_draining_node_is_named_by_no_plan_until_it_takes_part_again),
        TEST(one_instance_is_ended_and_says_why),
        TEST(only_nodes_that_are_there_can_be_drained),
    };
#undef TEST
    return cmocka_run_group_tests_name("cluster/drain", tests, NULL, NULL);
}
