/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_failures.c - runners and nodes die; everybody knows, nothing is left. */
#include "support/check.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "nodes.h"

enum { SHORT_MS = 500 }; /* what is waited for a runner that never listens */

static void kill_runner_and_place_again(struct nodes *nodes, size_t index)
{
    assert_int_equal(kill(runner_pid(nodes, index, (unsigned)index), SIGKILL), 0);
    for (size_t i = 0; i < N_NODES; i++) {
        nodes_until_instances(nodes, i, INSTANCE_READY, 0);
        assert_int_equal(nodes->node[i].n_gone, 1);
        /* by its socket's end, rather than by beats without an answer */
        assert_non_null(strstr(nodes->node[i].gone_words, "ended unexpectedly"));
        nodes->node[i].n_gone = 0;
    }
    assert_no_child(nodes);
    (void)place_ready(nodes, 1, "abc");
}

static void a_killed_runner_of_any_rank_ends_the_instance_everywhere(void **state)
{
    struct nodes *nodes = *state;

    nodes_start(nodes);
    (void)place_ready(nodes, 0, "abc");
    kill_runner_and_place_again(nodes, 2);
    kill_runner_and_place_again(nodes, 1);
    kill_runner_and_place_again(nodes, 0);
}

static void a_lost_node_takes_its_instances_with_it(void **state)
{
    struct nodes *nodes = *state;

    nodes_start(nodes);
    (void)place_ready(nodes, 0, "abc");
    node_stop(nodes, 1);
    for (size_t i = 0; i < N_NODES; i += 2) {
        nodes_until_instances(nodes, i, INSTANCE_READY, 0);
        assert_int_equal(n_alive(nodes, i), 2);
        assert_non_null(strstr(nodes->node[i].gone_words, "'b' was lost"));
    }
    assert_no_child(nodes);
    (void)place_ready(nodes, 2, "ac");

    node_start(nodes, 1, "good");
    nodes_until_instances(nodes, 1, INSTANCE_READY, 1);
}

static bool has_leader(void *arg)
{
    struct nodes *nodes = arg;

    for (size_t i = 0; i < N_NODES; i++) {
        struct cluster_leadership l;

        if (!nodes->node[i].cluster)
            continue;
        cluster_leadership(nodes->node[i].cluster, &l);
        if (l.kind != LEADER_ELECTED)
            return false;
    }
    return true;
}

/* Index of the node that leads, in the eyes of node `index`. */
static size_t leader_of(struct nodes *nodes, size_t index)
{
    struct cluster_leadership l;

    nodes_until(nodes, has_leader, nodes, "somebody leads");
    cluster_leadership(nodes->node[index].cluster, &l);
    return (size_t)(l.leader[0] - 'a');
}

static void who_asks_a_leader_that_is_lost_is_answered_by_the_next(void **state)
{
    struct nodes *nodes = *state;
    struct cluster_leadership before, after;
    struct placement p;
    struct plan plan;
    struct err err;
    size_t leader, asker, other;

    nodes_start(nodes);
    leader = leader_of(nodes, 0);
    asker = (leader + 1) % N_NODES;
    other = (leader + 2) % N_NODES;
    cluster_leadership(nodes->node[asker].cluster, &before);
    plan = plan_over("bc");
    plan.shards[0].node[0] = (char)('a' + asker);
    plan.shards[1].node[0] = (char)('a' + other);
    assert_ok(node_place(nodes, asker, &plan, &p, &err), err);
    node_stop(nodes, leader); /* before it answered */
    nodes_until_placed(nodes, &p);
    assert_true(p.is_ready);
    assert_string_equal(p.instance.plan.shards[1].node, plan.shards[1].node);
    nodes_until_instances(nodes, other, INSTANCE_READY, 1);
    cluster_leadership(nodes->node[asker].cluster, &after);
    assert_true(after.epoch > before.epoch);
}

static void a_placing_under_way_outlives_its_leader(void **state)
{
    struct nodes *nodes = *state;
    struct placement p;
    struct plan plan;
    struct err err;
    size_t leader, asker, other;

    nodes->assign_ms = SHORT_MS;
    for (size_t i = 0; i < N_NODES; i++)
        node_start(nodes, i, "mute"); /* never listens: the placing goes on until its deadline */
    leader = leader_of(nodes, 0);
    asker = (leader + 1) % N_NODES;
    other = (leader + 2) % N_NODES;
    plan = plan_over("b");
    plan.shards[0].node[0] = (char)('a' + other);
    assert_ok(node_place(nodes, asker, &plan, &p, &err), err);
    nodes_until_instances(nodes, asker, INSTANCE_PLACING, 1);
    node_stop(nodes, leader);
    nodes_until_placed(nodes, &p);
    assert_int_equal(p.failure.status, ST_DEADLINE); /* the next leader placed it, and says so */
    assert_non_null(strstr(p.failure.words, "did not start its runner in time"));
    assert_no_child(nodes);
}

static void a_plan_with_a_lost_node_fails_so_that_another_can_be_made(void **state)
{
    struct nodes *nodes = *state;
    struct placement p;
    struct plan plan;
    struct err err;
    size_t leader, asker;

    for (size_t i = 0; i < N_NODES; i++)
        node_start(nodes, i, "mute");
    leader = leader_of(nodes, 0);
    asker = (leader + 1) % N_NODES;
    plan = plan_over("b");
    plan.shards[0].node[0] = (char)('a' + leader);
    assert_ok(node_place(nodes, asker, &plan, &p, &err), err);
    nodes_until_instances(nodes, asker, INSTANCE_PLACING, 1);
    node_stop(nodes, leader);
    nodes_until_placed(nodes, &p);
    assert_int_equal(p.failure.status, ST_PEER);
    assert_non_null(strstr(p.failure.words, "was lost"));
}

static void fails_with(struct nodes *nodes, const char *how, enum status status, const char *says)
{
    const struct plan plan = plan_over("abc");
    struct placement p;
    struct err err;

    node_start(nodes, 0, "good");
    node_start(nodes, 1, how);
    node_start(nodes, 2, "good");
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_alive(nodes, i, N_NODES);
    assert_ok(node_place(nodes, 2, &plan, &p, &err), err);
    nodes_until_placed(nodes, &p);
    assert_false(p.is_ready);
    assert_int_equal(p.failure.status, status);
    if (!strstr(p.failure.words, says))
        fail_msg("'%s' does not say '%s'", p.failure.words, says);
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_instances(nodes, i, INSTANCE_PLACING, 0);
    assert_no_child(nodes);
}

static void a_shard_that_fails_says_why(void **state)
{
    fails_with(*state, "refuses", ST_FORMAT,
               "the runner of layers 2 to 3 on node 'b' failed: it does not want to");
}

static void a_runner_that_crashes_while_loading_is_named(void **state)
{
    fails_with(*state, "crashes", ST_PEER, "on node 'b' ended unexpectedly");
}

static void a_silent_runner_meets_its_deadline(void **state)
{
    struct nodes *nodes = *state;

    nodes->assign_ms = SHORT_MS;
    fails_with(nodes, "mute", ST_DEADLINE, "node 'b' did not start its runner in time");
}

static void a_runner_that_stops_answering_is_replaced(void **state)
{
    struct nodes *nodes = *state;

    node_start(nodes, 0, "good");
    node_start(nodes, 1, "silent");
    node_start(nodes, 2, "good");
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_alive(nodes, i, N_NODES);
    (void)place_ready(nodes, 0, "abc");
    for (size_t i = 0; i < N_NODES; i++) {
        nodes_until_instances(nodes, i, INSTANCE_READY, 0);
        assert_non_null(strstr(nodes->node[i].gone_words, "on node 'b' stopped answering"));
    }
    assert_no_child(nodes);
    (void)place_ready(nodes, 0, "ac");
}

static void a_runner_whose_step_does_not_get_on_is_replaced(void **state)
{
    struct nodes *nodes = *state;

    node_start(nodes, 0, "good"); /* in a step too, and stays */
    node_start(nodes, 1, "jams");
    for (size_t i = 0; i < 2; i++)
        nodes_until_alive(nodes, i, 2);
    (void)place_ready(nodes, 0, "ab");
    for (size_t i = 0; i < 2; i++) {
        nodes_until_instances(nodes, i, INSTANCE_READY, 0);
        assert_non_null(strstr(nodes->node[i].gone_words, "on node 'b' is stuck in a step"));
    }
    (void)place_ready(nodes, 0, "a");
}

/* Its process is reaped long before the socket shows that it is gone. */
static void a_runner_whose_socket_outlives_it_is_replaced(void **state)
{
    struct nodes *nodes = *state;

    node_start(nodes, 0, "leaves");
    (void)place_ready(nodes, 0, "a");
    nodes_until_instances(nodes, 0, INSTANCE_READY, 0);
    assert_non_null(strstr(nodes->node[0].gone_words, "stopped answering"));
    assert_no_child(nodes);
    (void)place_ready(nodes, 0, "a");
}

static void another_file_under_the_same_name_is_refused(void **state)
{
    struct nodes *nodes = *state;
    struct cluster_model other = {
        { .name = "m", .architecture = "llama", .digest = { 9 }, .n_layer = N_LAYERS }, "/x/good"
    };
    const struct plan plan = plan_over("ab");
    struct node_set set;
    struct placement p;
    struct err err;

    nodes_start(nodes);
    assert_ok(cluster_set_models(nodes->node[1].cluster, &other, 1, &err), err);
    assert_ok(node_place(nodes, 0, &plan, &p, &err), err);
    nodes_until_placed(nodes, &p);
    assert_non_null(strstr(p.failure.words, "node 'b' holds another file under the name 'm'"));
    cluster_nodes(nodes->node[0].cluster, "m", &set);
    assert_true(set.nodes[0].holds_model && !set.nodes[1].holds_model);
}

static void a_runner_that_does_not_end_is_killed(void **state)
{
    struct nodes *nodes = *state;
    struct err err;

    node_start(nodes, 0, "stuck");
    node_start(nodes, 1, "good"); /* two of three can decide */
    (void)place_ready(nodes, 0, "a");
    assert_ok(node_unplace(nodes, 0, "m", &err), err);
    assert_no_child(nodes);
}

/* Which would outlive the node otherwise, as it waits for nothing. */
static void freeing_a_node_kills_a_runner_that_does_not_end(void **state)
{
    struct nodes *nodes = *state;

    node_start(nodes, 0, "stuck");
    (void)place_ready(nodes, 0, "a");
    node_stop(nodes, 0);
    assert_no_child(nodes);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, nodes_set_up, nodes_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_killed_runner_of_any_rank_ends_the_instance_everywhere),
        TEST(a_lost_node_takes_its_instances_with_it),
        TEST(who_asks_a_leader_that_is_lost_is_answered_by_the_next),
        TEST(a_placing_under_way_outlives_its_leader),
        TEST(a_plan_with_a_lost_node_fails_so_that_another_can_be_made),
        TEST(a_shard_that_fails_says_why),
        TEST(a_runner_that_crashes_while_loading_is_named),
        TEST(a_silent_runner_meets_its_deadline),
        TEST(a_runner_that_stops_answering_is_replaced),
        TEST(a_runner_whose_step_does_not_get_on_is_replaced),
        TEST(a_runner_whose_socket_outlives_it_is_replaced),
        TEST(another_file_under_the_same_name_is_refused),
        TEST(a_runner_that_does_not_end_is_killed),
        TEST(freeing_a_node_kills_a_runner_that_does_not_end),
    };
#undef TEST
    return cmocka_run_group_tests_name("cluster/failures", tests, NULL, NULL);
}
