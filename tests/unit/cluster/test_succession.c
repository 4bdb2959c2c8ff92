/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_succession.c - nodes without a list: cuts come and go, one table remains. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/election/succession.h"
#include "cluster/state/desired_wire.h"

enum { NODES = 5, ROUNDS = 400, MODELS = 6, SEED = 20261125 };

struct fixture {
    struct succession nodes[NODES]; /* the lower comes first */
    unsigned side[NODES];           /* nodes of one side hear one another */
};

static struct fixture f;
static uint32_t lcg = SEED;

static uint32_t below(uint32_t n)
{
    lcg = lcg * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return (lcg >> 8) % n;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++)
        succession_release(&f.nodes[i]);
    memset(&f, 0, sizeof(f));
    return 0;
}

static bool tell(size_t from, size_t to)
{
    struct desired_packing *packing = malloc(sizeof(*packing));
    Wire__Roll roll = WIRE__ROLL__INIT;
    bool is_changed = false;
    struct err err;

    assert_non_null(packing);
    desired_to_wire(&f.nodes[from].desired, packing);
    roll.epoch = f.nodes[from].epoch;
    roll.state = &packing->wire;
    assert_ok(succession_receive(&f.nodes[to], &roll, &is_changed, &err), err);
    free(packing);
    return is_changed;
}

static size_t first_of(size_t i)
{
    for (size_t k = 0; k < NODES; k++)
        if (f.side[k] == f.side[i])
            return k;
    return i;
}

/* Until nobody has news; a bound, as news that never end would be a fault. */
static void settle(void)
{
    bool is_news = true;

    for (int round = 0; is_news; round++) {
        assert_true(round < 4 * NODES);
        is_news = false;
        for (size_t i = 0; i < NODES; i++)
            is_news |= succession_stand(&f.nodes[i],
                                        first_of(i) == i ? SUCCESSION_FIRST : SUCCESSION_LATER);
        for (size_t i = 0; i < NODES; i++)
            for (size_t k = 0; k < NODES; k++)
                if (i != k && f.side[i] == f.side[k])
                    is_news |= tell(i, k);
    }
}

static void assert_one(void)
{
    for (size_t i = 0; i < NODES; i++) {
        assert_true(f.nodes[i].epoch == f.nodes[0].epoch);
        assert_true(f.nodes[i].desired.digest == f.nodes[0].desired.digest);
        assert_true((f.nodes[i].led != 0) == (i == 0));
    }
    assert_true(f.nodes[0].led == f.nodes[0].epoch);
}

static enum status decide(size_t node, const char *model, const char *value)
{
    return succession_decide(&f.nodes[node], model, (const uint8_t *)value,
                             value ? strlen(value) : 0, NULL);
}

static void a_node_alone_leads_at_once(void **state)
{
    (void)state;
    assert_int_equal(decide(0, "m", "x"), ST_PEER);
    assert_true(succession_stand(&f.nodes[0], SUCCESSION_FIRST));
    assert_false(succession_stand(&f.nodes[0], SUCCESSION_FIRST));
    assert_true(f.nodes[0].epoch == 1);
    assert_int_equal(decide(0, "m", "x"), ST_OK);
    assert_int_equal(decide(0, "m", NULL), ST_OK);
    assert_false(desired_find(&f.nodes[0].desired, "m")->is_placed);
}

static void whatever_the_cuts_one_leader_and_one_table_remain(void **state)
{
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char model[8], value[8];

        for (size_t i = 0; i < NODES; i++)
            f.side[i] = below(3);
        settle();
        for (uint32_t n = below(8); n > 0; n--) {
            const size_t leader = first_of(below(NODES));

            snprintf(model, sizeof(model), "m%u", below(MODELS));
            snprintf(value, sizeof(value), "v%u", below(4));
            assert_int_equal(decide(leader, model, below(3) ? value : NULL), ST_OK);
        }
        memset(f.side, 0, sizeof(f.side));
        settle();
        assert_one();
    }
}

/* Both sides begin the same epoch, and each decides about the model. */
static void two_decisions_of_one_version_become_the_same_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++)
        f.side[i] = i % 2;
    settle();
    assert_true(f.nodes[0].led == f.nodes[1].led);
    assert_int_equal(decide(0, "m", "even"), ST_OK);
    assert_int_equal(decide(1, "m", "odd"), ST_OK);
    memset(f.side, 0, sizeof(f.side));
    settle();
    assert_one();
    assert_true(desired_find(&f.nodes[3].desired, "m")->is_placed);
}

static void the_leader_of_the_healed_cluster_is_above_both_sides(void **state)
{
    uint64_t before;

    (void)state;
    for (size_t i = 0; i < NODES; i++)
        f.side[i] = i == 0;
    f.nodes[1].epoch = 7;
    settle();
    before = f.nodes[1].led;
    assert_int_equal(decide(1, "m", "x"), ST_OK);
    memset(f.side, 0, sizeof(f.side));
    settle();
    assert_one();
    assert_true(f.nodes[0].led > before);
    assert_int_equal(decide(1, "m", NULL), ST_PEER);
    assert_int_equal(decide(0, "m", NULL), ST_OK);
}

static void an_epoch_is_above_every_record_kept(void **state)
{
    struct desired_record record = { .model = "m", .version = { 9, 1 }, .is_placed = true };
    bool is_changed = false;
    struct err err;

    (void)state;
    assert_ok(desired_merge(&f.nodes[0].desired, &record, &is_changed, &err), err);
    assert_true(succession_stand(&f.nodes[0], SUCCESSION_FIRST));
    assert_true(f.nodes[0].led > 9);
    assert_int_equal(decide(0, "m", NULL), ST_OK);
    assert_false(desired_find(&f.nodes[0].desired, "m")->is_placed);
}

static void an_epoch_that_none_could_follow_is_refused(void **state)
{
    Wire__Roll roll = WIRE__ROLL__INIT;
    bool is_changed = false;

    (void)state;
    roll.epoch = UINT64_MAX;
    assert_int_equal(succession_receive(&f.nodes[0], &roll, &is_changed, NULL), ST_FORMAT);
    assert_true(f.nodes[0].epoch == 0 && !is_changed);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(a_node_alone_leads_at_once),
        EACH(whatever_the_cuts_one_leader_and_one_table_remain),
        EACH(two_decisions_of_one_version_become_the_same_everywhere),
        EACH(the_leader_of_the_healed_cluster_is_above_both_sides),
        EACH(an_epoch_is_above_every_record_kept),
        EACH(an_epoch_that_none_could_follow_is_refused),
    };
#undef EACH
    return cmocka_run_group_tests_name("cluster/succession", tests, NULL, NULL);
}
