/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_watch.c - channels that break between nodes that answer datagrams. */
#include "support/check.h"

#include <string.h>

#include "base/clock.h"
#include "cluster/cluster_priv.h"
#include "nodes.h"

static bool all_answer(void *arg)
{
    struct nodes *nodes = arg;
    struct cluster_member members[N_NODES];
    bool is_so = true;

    for (size_t i = 0; i < N_NODES; i++) {
        (void)cluster_members(nodes->node[i].cluster, members, N_NODES);
        for (size_t k = 0; k < N_NODES; k++)
            is_so &= members[k].is_connected && members[k].has_datagrams;
    }
    return is_so;
}

static void start(struct nodes *nodes)
{
    nodes_start(nodes);
    nodes_until(nodes, all_answer, nodes, "each answers each other's datagrams");
}

static struct member *member_b(struct nodes *nodes)
{
    return member_find(nodes->node[0].cluster, "b");
}

/* As if the connection of a and b had broken. */
static void break_channel(struct nodes *nodes)
{
    link_lose(member_b(nodes)->link, "the test cut it");
}

static void a_broken_channel_is_called_anew_and_nothing_ends(void **state)
{
    struct nodes *nodes = *state;
    struct cluster_instance placed, seen;
    struct cluster_member members[N_NODES];

    start(nodes);
    placed = place_ready(nodes, 0, "abc");
    break_channel(nodes);
    (void)cluster_members(nodes->node[0].cluster, members, N_NODES);
    assert_true(members[1].is_alive && !members[1].is_connected);
    while (!all_answer(nodes)) {
        assert_int_equal(n_alive(nodes, 0), N_NODES);
        assert_int_equal(n_alive(nodes, 1), N_NODES);
        (void)event_base_loop(loop_base(nodes->loop), EVLOOP_ONCE);
    }
    for (size_t i = 0; i < N_NODES; i++) {
        assert_int_equal(nodes->node[i].n_gone, 0);
        assert_int_equal(cluster_instances(nodes->node[i].cluster, &seen, 1), 1);
        assert_string_equal(seen.view.id, placed.view.id);
        assert_int_equal(seen.state, INSTANCE_READY);
    }
}

static void nothing_is_placed_on_a_node_without_a_channel(void **state)
{
    struct nodes *nodes = *state;
    const struct plan plan = plan_over("ab");
    struct placement p;
    struct node_set set;
    struct err err;

    start(nodes);
    break_channel(nodes);
    cluster_nodes(nodes->node[0].cluster, "m", &set);
    assert_false(set.nodes[1].is_alive);
    assert_int_equal(node_place(nodes, 0, &plan, &p, &err), ST_NOTFOUND);
    nodes_until(nodes, all_answer, nodes, "the channel is back");
    (void)place_ready(nodes, 0, "ab");
}

static void what_is_being_placed_ends_with_the_channel_it_needs(void **state)
{
    struct nodes *nodes = *state;
    const struct plan plan = plan_over("ab");
    struct placement p;
    struct err err;

    node_start(nodes, 0, "good");
    node_start(nodes, 1, "mute");
    node_start(nodes, 2, "good");
    nodes_until(nodes, all_answer, nodes, "each answers each other's datagrams");
    assert_ok(node_place(nodes, 0, &plan, &p, &err), err);
    nodes_until_instances(nodes, 1, INSTANCE_PLACING, 1);
    break_channel(nodes);
    nodes_until_placed(nodes, &p);
    assert_int_equal(p.failure.status, ST_PEER);
    assert_non_null(strstr(p.failure.words, "channel between node"));
    assert_int_equal(n_alive(nodes, 0), N_NODES);
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_instances(nodes, i, INSTANCE_PLACING, 0);
    assert_no_child(nodes);
}

static void without_datagrams_the_end_of_a_channel_is_death(void **state)
{
    struct nodes *nodes = *state;

    start(nodes);
    (void)place_ready(nodes, 0, "ab");
    member_b(nodes)->speaks_swim = false;
    break_channel(nodes);
    assert_int_equal(n_alive(nodes, 0), N_NODES - 1);
    assert_int_equal(nodes->node[0].n_gone, 1);
    nodes_until(nodes, all_answer, nodes, "b is back");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_set_up, nodes_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_broken_channel_is_called_anew_and_nothing_ends),
        TEST(nothing_is_placed_on_a_node_without_a_channel),
        TEST(what_is_being_placed_ends_with_the_channel_it_needs),
        TEST(without_datagrams_the_end_of_a_channel_is_death),
    };
#undef TEST
    return cmocka_run_group_tests_name("cluster/watch", tests, NULL, NULL);
}
