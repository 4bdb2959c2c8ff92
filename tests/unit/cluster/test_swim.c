/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_swim.c - membership, one node or two at a time, datagram by datagram. */
#include "support/allocations.h"
#include "support/check.h"

#include <string.h>

#include "base/clock.h"
#include "cluster/membership/swim.h"

enum { N_NODES = 2, BOX_MAX = 64, MUTATIONS = 20000, SEED = 20261125 };

struct box_item {
    struct swim_address to;
    size_t n;
    uint8_t bytes[SWIM_DATAGRAM_MAX];
};

struct node {
    struct swim *swim;
    struct box_item box[BOX_MAX]; /* what it sent, not delivered yet; the last BOX_MAX */
    size_t n_box;
    size_t largest;
    struct swim_member last; /* of the last event */
    enum swim_state was;
    size_t n_events;
};

struct fixture {
    struct node nodes[N_NODES];
    uint64_t now_ns;
};

static uint32_t lcg = SEED;

static uint64_t draw(void *arg)
{
    (void)arg;
    lcg = lcg * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return lcg >> 8;
}

static void take_datagram(void *arg, const struct swim_id *id, const struct swim_address *to,
                          const uint8_t *bytes, size_t n)
{
    struct node *node = arg;
    struct box_item *item = &node->box[node->n_box++ % BOX_MAX];

    (void)id;
    assert_true(n <= SWIM_DATAGRAM_MAX);
    node->largest = n > node->largest ? n : node->largest;
    item->to = *to;
    item->n = n;
    memcpy(item->bytes, bytes, n);
}

static void take_event(void *arg, const struct swim_member *member, enum swim_state was)
{
    struct node *node = arg;

    node->last = *member;
    node->was = was;
    node->n_events++;
}

static const struct swim_effects effects = { take_datagram, take_event, draw };

static struct swim_member member(uint32_t i)
{
    struct swim_member m = { .state = SWIM_ALIVE,
                             .address = { .ip = { [10] = 0xff, [11] = 0xff, 127 }, .port = 1 } };

    m.address.ip[14] = (uint8_t)(i >> 8);
    m.address.ip[15] = (uint8_t)i;
    memcpy(m.id.bytes, &i, sizeof(i));
    m.id.bytes[SWIM_ID_BYTES - 1] = (uint8_t)(i + 1);
    return m;
}

static int set_up(void **state)
{
    static struct fixture f;
    const struct swim_params params = swim_params_lan(7);

    memset(&f, 0, sizeof(f));
    f.now_ns = NS_PER_S;
    for (uint32_t i = 0; i < N_NODES; i++) {
        const struct swim_member self = member(i);

        if (swim_new(&params, &self, &effects, &f.nodes[i], f.now_ns, &f.nodes[i].swim, NULL))
            return -1;
    }
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N_NODES; i++)
        swim_free(f->nodes[i].swim);
    return 0;
}

/* Hand over what waits, until nothing does. */
static void deliver(struct fixture *f)
{
    bool is_any = true;

    while (is_any) {
        is_any = false;
        for (uint32_t i = 0; i < N_NODES; i++) {
            struct node *from = &f->nodes[i], *to = &f->nodes[1 - i];
            const struct swim_member sender = member(i), receiver = member(1 - i);

            while (from->n_box > 0) {
                const struct box_item item = from->box[--from->n_box % BOX_MAX];
                struct err err;

                is_any = true;
                if (memcmp(&item.to, &receiver.address, sizeof(item.to)) == 0)
                    assert_ok(swim_receive(to->swim, &sender.address, item.bytes, item.n, f->now_ns,
                                           &err),
                              err);
            }
        }
    }
}

enum cable { WHOLE, CUT };

static void run_for(struct fixture *f, uint64_t ms, enum cable cable)
{
    for (uint64_t i = 0; i < ms / 10; i++) {
        f->now_ns += 10 * NS_PER_MS;
        for (size_t k = 0; k < N_NODES; k++)
            (void)swim_tick(f->nodes[k].swim, f->now_ns);
        if (cable == WHOLE)
            deliver(f);
        else
            f->nodes[0].n_box = f->nodes[1].n_box = 0;
    }
}

static enum swim_state seen(const struct fixture *f, size_t judge, uint32_t judged)
{
    const struct swim_id id = member(judged).id;

    return swim_state_of(f->nodes[judge].swim, &id);
}

static void join(struct fixture *f)
{
    const struct swim_member other = member(1);

    swim_join(f->nodes[0].swim, &other.address, f->now_ns);
    run_for(f, 400, WHOLE);
}

static void who_joins_is_known_on_both_sides(void **state)
{
    struct fixture *f = *state;

    join(f);
    assert_int_equal(seen(f, 0, 1), SWIM_ALIVE);
    assert_int_equal(seen(f, 1, 0), SWIM_ALIVE);
    assert_int_equal(swim_members(f->nodes[0].swim, NULL, 0), 2);
}

static void pings_and_their_answers_are_counted(void **state)
{
    struct fixture *f = *state;
    const struct swim_id b = member(1).id, nobody = member(7).id;
    uint64_t n_pings, n_pongs, n_before;

    join(f);
    run_for(f, 4000, WHOLE);
    swim_pings(f->nodes[0].swim, &b, &n_pings, &n_pongs);
    assert_true(n_pings >= 10 && n_pongs + 1 >= n_pings && n_pongs <= n_pings);
    n_before = n_pongs;
    run_for(f, 1000, CUT);
    swim_pings(f->nodes[0].swim, &b, &n_pings, &n_pongs);
    assert_true(n_pongs == n_before && n_pings > n_pongs + 1);
    swim_pings(f->nodes[0].swim, &nobody, &n_pings, &n_pongs);
    assert_true(n_pings == 0 && n_pongs == 0);
}

static void silence_makes_a_suspect_then_a_dead(void **state)
{
    struct fixture *f = *state;

    join(f);
    run_for(f, 900, CUT);
    assert_int_equal(seen(f, 0, 1), SWIM_SUSPECT);
    run_for(f, 700, CUT);
    assert_int_equal(seen(f, 0, 1), SWIM_SUSPECT);
    run_for(f, 400, CUT);
    assert_int_equal(seen(f, 0, 1), SWIM_DEAD);
    assert_int_equal(f->nodes[0].was, SWIM_SUSPECT);
}

static void a_suspect_objects_and_so_does_a_dead(void **state)
{
    struct fixture *f = *state;
    const uint32_t before = swim_self(f->nodes[1].swim).incarnation;

    join(f);
    run_for(f, 900, CUT);
    assert_int_equal(seen(f, 0, 1), SWIM_SUSPECT);
    run_for(f, 200, WHOLE);
    assert_int_equal(seen(f, 0, 1), SWIM_ALIVE);
    assert_true(swim_self(f->nodes[1].swim).incarnation > before);
    run_for(f, 2500, CUT);
    assert_int_equal(seen(f, 0, 1), SWIM_DEAD);
    run_for(f, 2500, WHOLE);
    assert_int_equal(seen(f, 0, 1), SWIM_ALIVE);
    assert_int_equal(seen(f, 1, 0), SWIM_ALIVE);
}

static void who_stood_still_itself_accuses_nobody(void **state)
{
    struct fixture *f = *state;
    size_t n_events;

    join(f);
    run_for(f, 900, CUT); /* a suspicion is on */
    n_events = f->nodes[0].n_events;
    f->now_ns += 60 * NS_PER_S;
    (void)swim_tick(f->nodes[0].swim, f->now_ns);
    assert_int_equal(seen(f, 0, 1), SWIM_SUSPECT);
    assert_int_equal(f->nodes[0].n_events, n_events);
}

static void whom_another_sign_accuses_is_pinged_at_once(void **state)
{
    struct fixture *f = *state;
    const struct swim_member other = member(1), unknown = member(9);

    join(f);
    f->nodes[0].n_box = 0;
    swim_doubt(f->nodes[0].swim, &unknown.id, f->now_ns);
    assert_int_equal(f->nodes[0].n_box, 0);
    swim_doubt(f->nodes[0].swim, &other.id, f->now_ns);
    swim_doubt(f->nodes[0].swim, &other.id, f->now_ns); /* it is being pinged already */
    assert_int_equal(f->nodes[0].n_box, 1);
    assert_memory_equal(&f->nodes[0].box[0].to, &other.address, sizeof(other.address));
    deliver(f);
    assert_int_equal(seen(f, 0, 1), SWIM_ALIVE);
}

static void who_leaves_is_not_dead_but_gone(void **state)
{
    struct fixture *f = *state;

    join(f);
    swim_leave(f->nodes[1].swim, f->now_ns);
    deliver(f);
    assert_int_equal(seen(f, 0, 1), SWIM_LEFT);
    run_for(f, 5000, WHOLE);
    assert_int_equal(seen(f, 0, 1), SWIM_LEFT);
}

static void datagrams_of_another_cluster_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct swim_params params = swim_params_lan(8);
    const struct swim_member self = member(5), other = member(0);
    struct node stranger = { 0 };
    struct err err;

    assert_ok(swim_new(&params, &self, &effects, &stranger, f->now_ns, &stranger.swim, &err), err);
    swim_join(stranger.swim, &other.address, f->now_ns);
    assert_int_equal(swim_receive(f->nodes[0].swim, &self.address, stranger.box[0].bytes,
                                  stranger.box[0].n, f->now_ns, &err),
                     ST_FORMAT);
    assert_int_equal(swim_members(f->nodes[0].swim, NULL, 0), 1);
    swim_free(stranger.swim);
}

static void damaged_datagrams_are_refused_or_harmless(void **state)
{
    struct fixture *f = *state;
    const struct swim_member sender = member(1);
    struct box_item good, bad;
    size_t n_refused = 0;

    for (uint32_t i = 2; i < 40; i++) {
        const struct swim_member m = member(i);

        assert_int_equal(swim_add(f->nodes[1].swim, &m, f->now_ns, NULL), ST_OK);
    }
    swim_join(f->nodes[1].swim, &sender.address, f->now_ns);
    good = f->nodes[1].box[0];
    for (int i = 0; i < MUTATIONS; i++) {
        bad = good;
        for (uint64_t k = draw(NULL) % 4 + 1; k > 0; k--)
            bad.bytes[draw(NULL) % bad.n] = (uint8_t)draw(NULL);
        if (i % 3 == 0)
            bad.n = draw(NULL) % bad.n;
        n_refused += swim_receive(f->nodes[0].swim, &sender.address, bad.bytes, bad.n, f->now_ns,
                                  NULL) != ST_OK;
        f->nodes[0].n_box = 0;
    }
    assert_true(n_refused > MUTATIONS / 4);
    (void)swim_tick(f->nodes[0].swim, f->now_ns + NS_PER_S);
}

static void too_long_a_datagram_is_refused(void **state)
{
    static const uint8_t zeros[SWIM_DATAGRAM_MAX + 1];
    struct fixture *f = *state;
    const struct swim_member sender = member(1);

    assert_int_equal(
        swim_receive(f->nodes[0].swim, &sender.address, zeros, sizeof(zeros), f->now_ns, NULL),
        ST_FORMAT);
    assert_int_equal(swim_receive(f->nodes[0].swim, &sender.address, zeros, 0, f->now_ns, NULL),
                     ST_FORMAT);
}

static void a_whole_table_comes_page_by_page(void **state)
{
    enum { MANY = 500 };
    struct fixture *f = *state;

    for (uint32_t i = 2; i < MANY; i++) {
        const struct swim_member m = member(i);

        assert_int_equal(swim_add(f->nodes[1].swim, &m, f->now_ns, NULL), ST_OK);
    }
    join(f);
    assert_int_equal(swim_members(f->nodes[0].swim, NULL, 0), MANY);
    assert_in_range(f->nodes[1].largest, SWIM_DATAGRAM_MAX / 2, SWIM_DATAGRAM_MAX);
}

static void a_full_table_forgets_the_longest_dead(void **state)
{
    struct fixture *f = *state;
    struct swim_member m;
    struct err err;

    for (uint32_t i = 1; i < SWIM_MEMBERS_MAX; i++) {
        m = member(i);
        assert_ok(swim_add(f->nodes[0].swim, &m, f->now_ns, &err), err);
    }
    m = member(SWIM_MEMBERS_MAX);
    assert_int_equal(swim_add(f->nodes[0].swim, &m, f->now_ns, &err), ST_FULL);
    swim_leave(f->nodes[1].swim, f->now_ns);
    m = member(0);
    swim_join(f->nodes[1].swim, &m.address, f->now_ns);
    deliver(f);
    assert_int_equal(seen(f, 0, 1), SWIM_LEFT);
}

static void without_memory_there_is_no_member_and_no_leak(void **state)
{
    const struct swim_params params = swim_params_lan(7);
    const struct swim_member self = member(3);
    struct node node = { 0 };
    enum status s = ST_NOMEM;

    (void)state;
    for (size_t k = 1; s != ST_OK; k++) {
        allocations_fail_at(k);
        s = swim_new(&params, &self, &effects, &node, NS_PER_S, &node.swim, NULL);
        allocations_fail_at(0);
        assert_true(s == ST_OK || s == ST_NOMEM);
    }
    swim_free(node.swim);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(who_joins_is_known_on_both_sides),
        EACH(pings_and_their_answers_are_counted),
        EACH(silence_makes_a_suspect_then_a_dead),
        EACH(a_suspect_objects_and_so_does_a_dead),
        EACH(who_stood_still_itself_accuses_nobody),
        EACH(whom_another_sign_accuses_is_pinged_at_once),
        EACH(who_leaves_is_not_dead_but_gone),
        EACH(datagrams_of_another_cluster_are_refused),
        EACH(damaged_datagrams_are_refused_or_harmless),
        EACH(too_long_a_datagram_is_refused),
        EACH(a_whole_table_comes_page_by_page),
        EACH(a_full_table_forgets_the_longest_dead),
        cmocka_unit_test(without_memory_there_is_no_member_and_no_leak),
    };
    return cmocka_run_group_tests_name("cluster/swim", tests, NULL, NULL);
}
