/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_mlx_hosts.c - host files of MLX: written, read, judged. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/mlx/judge.h"

/* As macOS prints them; two of three ports have a cable. */
static const char profiler[] =
    "{\"SPThunderboltDataType\":["
    "{\"device_name_key\":\"Mac\",\"domain_uuid_key\":\"A-1\","
    " \"receptacle_1_tag\":{\"receptacle_id_key\":\"1\"},\"_items\":[{\"domain_uuid_key\":\"B-2\"}]},"
    "{\"device_name_key\":\"Mac\",\"domain_uuid_key\":\"A-2\","
    " \"receptacle_1_tag\":{\"receptacle_id_key\":\"2\"}},"
    "{\"device_name_key\":\"Mac\",\"domain_uuid_key\":\"A-3\","
    " \"receptacle_1_tag\":{\"receptacle_id_key\":\"3\"},"
    " \"_items\":[{\"_name\":\"a dock\"},{\"domain_uuid_key\":\"C-1\"}]}]}";
static const char networksetup[] =
    "\nHardware Port: Ethernet\nDevice: en0\nEthernet Address: 00:00:00:00:00:00\n"
    "\nHardware Port: Thunderbolt 1\nDevice: en2\nEthernet Address: 00:00:00:00:00:01\n"
    "\nHardware Port: Thunderbolt 2\nDevice: en3\nEthernet Address: 00:00:00:00:00:02\n"
    "\nHardware Port: Thunderbolt 3\nDevice: en4\nEthernet Address: 00:00:00:00:00:03\n";
static const char ibv_devices[] = "    device          \t   node GUID\n"
                                  "    ------          \t----------------\n"
                                  "    rdma_en2        \t0123456789abcdef\n"
                                  "    rdma_en4        \t0123456789abcdef\n";

struct fixture {
    struct mlx_hosts hosts, back;
    struct mlx_answer answers[3];
};

/* Three Macs, each cabled to each. */
static int set_up(void **state)
{
    static const char *const ids[] = { "A", "B", "C" };
    struct fixture *f = calloc(1, sizeof(*f));

    f->hosts.backend = MLX_JACCL;
    f->hosts.n = 3;
    for (size_t i = 0; i < 3; i++) {
        struct mlx_host *h = &f->hosts.hosts[i];
        struct mlx_facts *facts = &f->answers[i].facts;

        f->answers[i].is_there = true;
        snprintf(h->name, sizeof(h->name), "mac-%zu", i);
        snprintf(h->ssh, sizeof(h->ssh), "mac-%zu.local", i);
        snprintf(h->ips[0], sizeof(h->ips[0]), "10.0.0.%zu", i + 1);
        h->n_ips = 1;
        snprintf(facts->pomona, sizeof(facts->pomona), "%s", "1");
        snprintf(facts->mlx, sizeof(facts->mlx), "%s", "0.32.4");
        facts->has_rdma = true;
        snprintf(facts->addresses[0].address, FACTS_TEXT_MAX, "10.0.0.%zu", i + 1);
        facts->n_addresses = 1;
        for (size_t k = 0; k < 3; k++) {
            if (k == i)
                continue;
            snprintf(facts->ports[facts->n_ports].interface, FACTS_TEXT_MAX, "en%zu", k);
            snprintf(facts->ports[facts->n_ports].id, FACTS_TEXT_MAX, "%s-%zu", ids[i], k);
            snprintf(facts->ports[facts->n_ports++].peer, FACTS_TEXT_MAX, "%s-%zu", ids[k], i);
            snprintf(facts->devices[facts->n_devices++], FACTS_TEXT_MAX, "rdma_en%zu", k);
        }
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static size_t n_problems(const struct mlx_hosts *hosts, const struct mlx_answer *answers,
                         const char *among)
{
    json_t *problems = json_array();
    const json_t *p;
    bool is_found = among == NULL;
    size_t i, n;

    mlx_judge(hosts, answers, problems);
    json_array_foreach(problems, i, p) is_found |=
        among && strstr(json_string_value(p), among) != NULL;
    n = json_array_size(problems);
    json_array_foreach(problems, i, p) if (!is_found) print_error("%s\n", json_string_value(p));
    assert_true(is_found);
    json_decref(problems);
    return n;
}

static void what_macos_prints_becomes_ports_and_devices(void **state)
{
    struct mlx_facts facts = { .n_ports = 0 };

    (void)state;
    mlx_facts_take_ports(profiler, networksetup, &facts);
    mlx_facts_take_devices(ibv_devices, &facts);
    assert_int_equal(facts.n_ports, 3);
    assert_string_equal(facts.ports[0].interface, "en2");
    assert_string_equal(facts.ports[0].id, "A-1");
    assert_string_equal(facts.ports[0].peer, "B-2");
    assert_string_equal(facts.ports[1].peer, "");
    assert_string_equal(facts.ports[2].peer, "C-1");
    assert_int_equal(facts.n_devices, 2);
    assert_string_equal(facts.devices[1], "rdma_en4");
}

static void without_macos_there_are_no_ports(void **state)
{
    struct mlx_facts facts = { .n_ports = 0 };

    (void)state;
    mlx_facts_take_ports("", "", &facts);
    mlx_facts_take_devices("", &facts);
    mlx_facts_take_ports("[1,{}]", networksetup, &facts);
    mlx_facts_take_ports("{\"SPThunderboltDataType\":[{}]}", networksetup, &facts);
    assert_int_equal(facts.n_ports + facts.n_devices, 0);
}

static void cables_say_which_device_leads_to_whom(void **state)
{
    struct fixture *f = *state;
    struct buf out = { 0 };

    assert_int_equal(mlx_find_devices(&f->hosts, f->answers, NULL), ST_OK);
    mlx_write_devices(&f->hosts, &out);
    assert_string_equal(buf_text(&out),
                        "[\n"
                        "  [\n    null,\n    \"rdma_en1\",\n    \"rdma_en2\"\n  ],\n"
                        "  [\n    \"rdma_en0\",\n    null,\n    \"rdma_en2\"\n  ],\n"
                        "  [\n    \"rdma_en0\",\n    \"rdma_en1\",\n    null\n  ]\n"
                        "]\n");
    buf_release(&out);
    assert_int_equal(n_problems(&f->hosts, f->answers, NULL), 0);
}

static void a_missing_cable_is_named(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };

    f->answers[1].facts.ports[1].peer[0] = '\0';
    assert_int_equal(mlx_find_devices(&f->hosts, f->answers, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'mac-1' has no Thunderbolt cable to 'mac-2'"));
}

static void a_launch_file_comes_back_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct buf out = { 0 };
    json_t *json;

    assert_int_equal(mlx_find_devices(&f->hosts, f->answers, NULL), ST_OK);
    mlx_write_launch(&f->hosts, &out);
    json = json_loads(buf_text(&out), 0, NULL);
    assert_non_null(json);
    assert_true(json_is_array(json_object_get(json, "envs")));
    assert_int_equal(mlx_hosts_read(json, &f->back, NULL), ST_OK);
    json_decref(json);
    buf_release(&out);
    for (size_t i = 0; i < 3; i++) /* a file has SSH's names alone */
        memcpy(f->hosts.hosts[i].name, f->back.hosts[i].name, sizeof(f->hosts.hosts[i].name));
    assert_memory_equal(&f->hosts, &f->back, sizeof(f->hosts));
}

static void each_rank_of_a_ring_has_ports_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct buf out = { 0 };
    json_t *json;

    mlx_write_ring(&f->hosts, 5000, &out);
    json = json_loads(buf_text(&out), 0, NULL);
    assert_int_equal(json_array_size(json), 3);
    assert_string_equal(json_string_value(json_array_get(json_array_get(json, 0), 0)),
                        "10.0.0.1:5000");
    assert_string_equal(json_string_value(json_array_get(json_array_get(json, 2), 0)),
                        "10.0.0.3:5016");
    json_decref(json);
    buf_clear(&out);
    mlx_write_mpi(&f->hosts, &out);
    assert_string_equal(buf_text(&out), "10.0.0.1 slots=1\n10.0.0.2 slots=1\n10.0.0.3 slots=1\n");
    buf_release(&out);
}

static void what_a_job_would_fail_of_is_said(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mlx_find_devices(&f->hosts, f->answers, NULL), ST_OK);
    snprintf(f->answers[1].facts.mlx, sizeof(f->answers[1].facts.mlx), "%s", "0.32.0");
    assert_int_equal(n_problems(&f->hosts, f->answers, "0.32.1 is the first"), 1);
    snprintf(f->answers[1].facts.mlx, sizeof(f->answers[1].facts.mlx), "%s", "0.33.0");
    assert_int_equal(n_problems(&f->hosts, f->answers, "MLX 0.33.0 and 'mac-0' has 0.32.4"), 1);
    snprintf(f->answers[1].facts.mlx, sizeof(f->answers[1].facts.mlx), "%s", "");
    assert_int_equal(n_problems(&f->hosts, f->answers, "without MLX"), 1);
    snprintf(f->answers[1].facts.mlx, sizeof(f->answers[1].facts.mlx), "%s", "0.32.4");
    snprintf(f->answers[2].facts.pomona, sizeof(f->answers[2].facts.pomona), "%s", "2");
    assert_int_equal(n_problems(&f->hosts, f->answers, "Pomona 2"), 1);
    snprintf(f->answers[2].facts.pomona, sizeof(f->answers[2].facts.pomona), "%s", "1");
    f->answers[0].facts.has_rdma = false;
    assert_int_equal(n_problems(&f->hosts, f->answers, "RDMA is not enabled on host 'mac-0'"), 1);
    f->answers[0].facts.has_rdma = true;
    f->answers[0].facts.n_devices = 0;
    assert_int_equal(n_problems(&f->hosts, f->answers, "no RDMA device 'rdma_en1'"), 2);
    f->answers[0].facts.n_devices = 2;
    snprintf(f->answers[2].facts.addresses[0].address,
             sizeof(f->answers[2].facts.addresses[0].address), "%s", "10.0.0.9");
    assert_int_equal(n_problems(&f->hosts, f->answers, "has no address 10.0.0.3 now"), 1);
    f->answers[2].is_there = false;
    snprintf(f->answers[2].why, sizeof(f->answers[2].why), "%s", "ssh: it ended with status 255");
    assert_int_equal(n_problems(&f->hosts, f->answers, "not reached by SSH at 'mac-2.local'"), 1);
}

static void what_a_file_lacks_is_said_without_asking_anyone(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(n_problems(&f->hosts, NULL, "devices in 'rdma'"), 3);
    f->hosts.backend = MLX_RING;
    assert_int_equal(n_problems(&f->hosts, NULL, NULL), 0);
    snprintf(f->hosts.hosts[1].ips[0], sizeof(f->hosts.hosts[1].ips[0]), "%s", "fd77::2");
    assert_int_equal(n_problems(&f->hosts, NULL, "is no IPv4 address"), 1);
    f->hosts.hosts[1].n_ips = 0;
    assert_int_equal(n_problems(&f->hosts, NULL, "'mac-1' has no address"), 2);
    f->hosts.n = 1;
    assert_int_equal(n_problems(&f->hosts, NULL, "needs two"), 1);
}

static void what_is_no_launch_file_is_refused(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"hosts\":[]}",
        "{\"hosts\":[{}]}",
        "{\"hosts\":[{\"ssh\":\"\"}]}",
        "{\"hosts\":[{\"ssh\":\"a\",\"ips\":1}]}",
        "{\"hosts\":[{\"ssh\":\"a\",\"ips\":[1]}]}",
        "{\"hosts\":[{\"ssh\":\"a\",\"rdma\":[1]}]}",
        "{\"hosts\":[{\"ssh\":\"a\",\"rdma\":[[]]}]}",
        "[[\"10.0.0.1:5000\"]]",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *json = json_loads(texts[i], 0, NULL);

        assert_int_equal(mlx_hosts_read(json, &f->back, NULL), ST_FORMAT);
        json_decref(json);
    }
}

static void facts_come_back_as_they_were_told(void **state)
{
    struct fixture *f = *state;
    struct mlx_facts back;
    struct buf out = { 0 };
    json_t *json;

    mlx_facts_write(&f->answers[0].facts, &out);
    json = json_loads(buf_text(&out), 0, NULL);
    assert_int_equal(mlx_facts_read(json, &back, NULL), ST_OK);
    json_decref(json);
    buf_release(&out);
    assert_int_equal(back.n_ports, 2);
    assert_string_equal(back.ports[1].peer, "C-0");
    assert_string_equal(back.devices[0], "rdma_en1");
    assert_string_equal(back.addresses[0].address, "10.0.0.1");
    assert_true(back.has_rdma);
    assert_int_equal(mlx_facts_read(NULL, &back, NULL), ST_FORMAT);
}

static void links_of_a_kind_are_the_rings_addresses(void **state)
{
    struct config_link links[] = { { .kind = "ethernet", .address = "10.0.0.1" },
                                   { .kind = "thunderbolt4-ring", .address = "10.0.1.1" } };
    struct config_node nodes[] = {
        { .name = "a", .host = "10.0.0.1", .links = links, .links_count = 2 },
        { .name = "b", .host = "10.0.0.2" },
    };
    struct config config = { .nodes = nodes, .nodes_count = 1 };
    struct fixture *f = *state;
    struct err err = { 0 };

    assert_int_equal(mlx_hosts_of(&config, MLX_RING, "thunderbolt", &f->back, NULL), ST_OK);
    assert_string_equal(f->back.hosts[0].ips[0], "10.0.1.1");
    assert_string_equal(f->back.hosts[0].ssh, "10.0.0.1");
    config.nodes_count = 2;
    assert_int_equal(mlx_hosts_of(&config, MLX_RING, "thunderbolt", &f->back, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "node 'b' has no link of kind 'thunderbolt'"));
    assert_int_equal(mlx_hosts_of(&config, MLX_RING, NULL, &f->back, NULL), ST_OK);
    assert_string_equal(f->back.hosts[1].ips[0], "10.0.0.2");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_macos_prints_becomes_ports_and_devices),
        CASE(without_macos_there_are_no_ports),
        CASE(cables_say_which_device_leads_to_whom),
        CASE(a_missing_cable_is_named),
        CASE(a_launch_file_comes_back_as_it_was_written),
        CASE(each_rank_of_a_ring_has_ports_of_its_own),
        CASE(what_a_job_would_fail_of_is_said),
        CASE(what_a_file_lacks_is_said_without_asking_anyone),
        CASE(what_is_no_launch_file_is_refused),
        CASE(facts_come_back_as_they_were_told),
        CASE(links_of_a_kind_are_the_rings_addresses),
    };
    return cmocka_run_group_tests_name("cmd/mlx", tests, NULL, NULL);
}
