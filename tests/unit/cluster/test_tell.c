/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_tell.c - what peers tell of addresses and links is taken, or refused whole. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cluster/cluster_priv.h"
#include "cluster/topology/figures.h"
#include "cluster/topology/ways.h"

enum { N_NODES = 3, N_TOLD = NODES_MAX * PATHS_MAX + 1 };

struct fixture {
    struct cluster cluster;
    struct link link; /* to node b */
    Wire__Topology told;
    Wire__LinkFigure links[N_TOLD], *list[N_TOLD];
    char *addresses[2 * PATHS_MAX], texts[2 * PATHS_MAX][16];
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    if (loop_new(&f.cluster.loop, NULL) != ST_OK ||
        loop_timer_new(f.cluster.loop, NULL, NULL, &f.cluster.soon) != ST_OK)
        return -1;
    f.cluster.n_members = N_NODES;
    f.cluster.self = &f.cluster.members[0];
    for (size_t i = 0; i < N_NODES; i++) {
        f.cluster.members[i].info.name[0] = (char)('a' + i);
        f.cluster.members[i].info.is_alive = true;
        f.cluster.ring[i] = &f.cluster.members[i];
    }
    memcpy(f.cluster.members[1].info.host, "10.0.0.2", 9);
    f.link = (struct link){ .cluster = &f.cluster, .member = &f.cluster.members[1] };
    wire__topology__init(&f.told);
    f.told.links = f.list;
    f.told.addresses = f.addresses;
    for (size_t i = 0; i < N_TOLD; i++) {
        wire__link_figure__init(&f.links[i]);
        f.list[i] = &f.links[i];
    }
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    free(f->cluster.members[1].topology.told);
    loop_timer_free(f->cluster.soon);
    loop_free(f->cluster.loop);
    return 0;
}

static void tell_address(struct fixture *f, const char *host)
{
    const size_t i = f->told.n_addresses++;

    (void)snprintf(f->texts[i], sizeof(f->texts[i]), "%s", host);
    f->addresses[i] = f->texts[i];
}

static void tell_link(struct fixture *f, const char *peer, const char *host, double latency_s,
                      double bytes_per_s)
{
    Wire__LinkFigure *link = f->list[f->told.n_links++];

    link->peer = (char *)peer;
    link->host = (char *)host;
    link->latency_s = latency_s;
    link->bytes_per_s = bytes_per_s;
}

static void the_faster_of_two_links_is_the_best(void **state)
{
    struct fixture *f = *state;
    struct cluster_link *links;
    size_t n;

    tell_link(f, "c", "10.0.0.3", 100e-6, 125e6);
    tell_link(f, "c", "10.0.1.3", 100e-6, 1250e6);
    tell_link(f, "c", "10.0.2.3", 0, 0); /* it does not answer there */
    tell_link(f, "nobody", "10.0.0.9", 100e-6, 125e6);
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    n = cluster_links(&f->cluster, &links);
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(links[i].is_best, strcmp(links[i].host, "10.0.1.3") == 0);
    free(links);
}

static void assert_way(const struct fixture *f, const char *host)
{
    struct hosts hosts;

    ways_to(&f->cluster, &f->cluster.members[1], WAY_ROWS_BYTES, &hosts);
    assert_string_equal(hosts.text[0], host);
}

static void the_first_way_follows_what_is_known(void **state)
{
    struct fixture *f = *state;
    struct member *b = &f->cluster.members[1];

    assert_way(f, "10.0.0.2"); /* nothing is told yet */
    tell_address(f, "10.0.0.2");
    tell_address(f, "10.0.1.2");
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_way(f, "10.0.0.2");
    b->topology.paths[1].latency_s = 1e-4;
    b->topology.paths[1].bytes_per_s = 1e9;
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_way(f, "10.0.1.2"); /* what is known of an address stays */
    way_doubted(b, "10.0.1.2");
    assert_way(f, "10.0.0.2");
    f->told.n_addresses = 1;
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_int_equal(b->topology.n_paths, 1);
}

static bool is_pair_cut(const struct fixture *f)
{
    const struct plan plan = { .n_shards = 3,
                               .shards = { { .node = "a" }, { .node = "b" }, { .node = "c" } } };
    size_t a, b;
    const bool found = cluster_cut_pair(&f->cluster, &plan, &a, &b);

    if (found)
        assert_true(strcmp(plan.shards[a].node, "b") == 0 && strcmp(plan.shards[b].node, "c") == 0);
    return found;
}

static void a_pair_of_nodes_is_cut_where_each_of_its_links_is(void **state)
{
    struct fixture *f = *state;

    tell_link(f, "c", "10.0.0.3", 0, 0);
    tell_link(f, "c", "10.0.1.3", 100e-6, 1250e6);
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_false(is_pair_cut(f));
    f->list[0]->cut_ms = 1000;
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_false(is_pair_cut(f)); /* there is another */
    f->list[1]->cut_ms = UINT32_MAX;
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_true(is_pair_cut(f));
    assert_true(f->link.member->topology.told[1].cut_until_ns <= deadline_after_ms(CUT_REST_MS));
    f->link.member->topology.told[0].cut_until_ns = clock_ns();
    assert_false(is_pair_cut(f)); /* it may be whole again */
}

static void a_cut_way_is_the_last_to_be_tried_and_not_probed(void **state)
{
    struct fixture *f = *state;
    struct member *b = &f->cluster.members[1];

    tell_address(f, "10.0.0.2");
    tell_address(f, "10.0.1.2");
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    way_cut(b, "10.0.0.2");
    assert_way(f, "10.0.1.2");
    ways_look_again(b);
    assert_int_equal(b->topology.paths[1].next_ns, 0);
    assert_true(b->topology.paths[0].next_ns > clock_ns());
    ways_whole_again(b);
    ways_look_again(b);
    assert_int_equal(b->topology.paths[0].next_ns, 0);
}

static void an_address_of_this_machine_leads_to_no_other(void **state)
{
    struct fixture *f = *state;
    struct hosts hosts;

    topology_add_path(&f->cluster.self->topology, "10.0.0.1");
    topology_add_path(&f->cluster.self->topology, "172.17.0.1");
    tell_address(f, "172.17.0.1");
    tell_address(f, "10.0.1.2");
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    ways_to(&f->cluster, &f->cluster.members[1], WAY_ROWS_BYTES, &hosts);
    assert_int_equal(hosts.n, 2);
    assert_string_equal(hosts.text[0], "10.0.1.2");
    assert_string_equal(hosts.text[1], "10.0.0.2");
}

static void addresses_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct hosts hosts;

    for (int i = 0; i < 2 * PATHS_MAX; i++) {
        char host[16];

        (void)snprintf(host, sizeof(host), "10.0.%u.9", (unsigned)i % 256);
        tell_address(f, host);
    }
    assert_ok(topology_receive(&f->link, &f->told, &f->err), f->err);
    assert_int_equal(f->cluster.members[1].topology.n_paths, PATHS_MAX);
    ways_to(&f->cluster, &f->cluster.members[1], WAY_ROWS_BYTES, &hosts);
    assert_int_equal(hosts.n, HOSTS_MAX);
}

static void assert_refused(struct fixture *f, enum status status)
{
    assert_int_equal(topology_receive(&f->link, &f->told, &f->err), status);
    assert_int_equal(f->cluster.members[1].topology.n_told, 0);
    f->told.n_links = 0;
}

static void links_that_cannot_be_are_refused(void **state)
{
    struct fixture *f = *state;

    tell_link(f, "c", "10.0.0.3", NAN, 1e9);
    assert_refused(f, ST_FORMAT);
    tell_link(f, "c", "10.0.0.3", 1e-4, -1);
    assert_refused(f, ST_FORMAT);
    tell_link(f, "c", "10.0.0.3", 1e-4, INFINITY);
    assert_refused(f, ST_FORMAT);
    tell_link(f, "c", "10.0.0.3", 3600, 1e9);
    assert_refused(f, ST_FORMAT);
    tell_link(f, "c d\n", "10.0.0.3", 1e-4, 1e9);
    assert_refused(f, ST_FORMAT);
    for (size_t i = 0; i < N_TOLD; i++)
        tell_link(f, "c", "10.0.0.3", 1e-4, 1e9);
    assert_refused(f, ST_RANGE);
    tell_address(f, "example.org");
    assert_refused(f, ST_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_faster_of_two_links_is_the_best, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_way_follows_what_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pair_of_nodes_is_cut_where_each_of_its_links_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_cut_way_is_the_last_to_be_tried_and_not_probed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_address_of_this_machine_leads_to_no_other, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(addresses_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_that_cannot_be_are_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
