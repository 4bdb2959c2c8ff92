/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/config/test_config.c - a good file is read whole, a bad one is named with its line. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "config/config.h"

struct fixture {
    char path[64];
};

static int set_up(void **state)
{
    static struct fixture f;
    int fd;

    snprintf(f.path, sizeof(f.path), "/tmp/pomona-config-XXXXXX");
    fd = mkstemp(f.path);
    if (fd < 0)
        return -1;
    close(fd);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    return unlink(f->path);
}

static enum status load(const struct fixture *f, const char *text, struct config **ret_config,
                        struct err *err)
{
    const enum status s = file_replace(f->path, text, strlen(text), err);

    return s == ST_OK ? config_load(f->path, ret_config, err) : s;
}

static void the_shipped_file_describes_three_machines(void **state)
{
    const char *source = getenv("POMONA_SOURCE");
    struct config *config = NULL;
    char path[1024];
    struct err err;

    (void)state;
    assert_non_null(source);
    snprintf(path, sizeof(path), "%s/config/cluster_nodes.json", source);
    assert_ok(config_load(path, &config, &err), err);
    assert_int_equal(config->nodes_count, 3);
    assert_string_equal(config->nodes[0].chip, "Apple M1 Max");
    assert_int_equal(config->nodes[2].gpu_cores, 30);
    assert_float_equal(config->nodes[2].ram_gb, 32, 0);
    assert_int_equal(config->nodes[1].links_count, 2);
    assert_string_equal(config->nodes[1].links[1].kind, "thunderbolt4-ring");
    config_free(config);
}

static void what_is_left_out_has_defaults(void **state)
{
    const struct config_node *node = NULL;
    struct config *config = NULL;
    struct err err;

    assert_ok(load(*state,
                   "{\"cluster\":{\"name\":\"c\"},"
                   "\"nodes\":[{\"name\":\"a\",\"host\":\"localhost\"},"
                   "{\"name\":\"b\",\"host\":\"::1\",\"port\":7,\"api_port\":8}]}",
                   &config, &err),
              err);
    assert_ok(config_find_node(config, "a", &node, &err), err);
    assert_string_equal(node->host, "127.0.0.1");
    assert_int_equal(node->port, CONFIG_CONTROL_PORT);
    assert_int_equal(node->api_port, CONFIG_API_PORT);
    assert_float_equal(node->memory_gb, 0, 0);
    assert_ok(config_find_node(config, "b", &node, &err), err);
    assert_int_equal(node->api_port, 8);
    assert_int_equal(config_find_node(config, "x", &node, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "a, b"));
    config_free(config);
}

static void discovery_is_a_list_of_ways(void **state)
{
    static const struct {
        const char *list;
        unsigned ways;
    } lists[] = {
        { "[\"beacon\",\"mdns\"]", CONFIG_DISCOVER_BEACON | CONFIG_DISCOVER_MDNS },
        { "[\"seeds\"]", CONFIG_DISCOVER_SEEDS },
        { "[\"none\"]", CONFIG_DISCOVER_NONE },
    };
    char text[256];
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct config *config = NULL;

        snprintf(text, sizeof(text),
                 "{\"cluster\":{\"name\":\"c\",\"discovery\":%s},"
                 "\"nodes\":[{\"name\":\"a\",\"host\":\"::1\"}]}",
                 lists[i].list);
        assert_ok(load(*state, text, &config, &err), err);
        assert_int_equal(config->cluster.discovery, lists[i].ways);
        config_free(config);
    }
}

#define NODE(fields) "{\"cluster\":{\"name\":\"c\"},\n\"nodes\":[{\"name\":\"a\",\n" fields "}]}"

static void every_mistake_is_one_sentence_with_its_place(void **state)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        { "", "empty" },
        { "[]", "MAPPING" },
        { "{\"cluster\":{\"name\":\"c\"},\"nodes\":[]}", "0 of 1" },
        { NODE("\"host\":\"::1\",\"port\":70000"), ":3:21: Invalid UINT value: '70000'" },
        { NODE("\"host\":\"::1\",\"prt\":1"), "Unexpected key: prt" },
        { NODE("\"port\":1"), "Missing required mapping field: host" },
        { NODE("\"host\":\"::1\",\"host\":\"::1\""), "already seen" },
        { NODE("\"host\":\"studio.local\""), "not a numeric" },
        { NODE("\"host\":\"::1\",\"port\":5,\"api_port\":5"), "must differ" },
        { NODE("\"host\":\"::1\",\"memory_gb\":nan"), "memory_gb" },
        { NODE("\"host\":\"::1\",\"memory_gb\":-1"), "memory_gb" },
        { NODE("\"host\":\"::1\",\"watts\":-1"), "watts must be" },
        { NODE("\"host\":\"::1\",\"disk_gbs\":inf"), "disk_gbs must be" },
        { NODE("\"host\":\"::1\",\"compute_gops\":1e10"), "compute_gops must be" },
        { NODE("\"host\":\"::1\",\"links\":[{\"kind\":\"x\",\"latency_us\":-2}]"), "latency_us" },
        { NODE("\"host\":\"::1\",\"threads\":5000"), "threads" },
        { NODE("\"host\":\"::1\",\"links\":[{\"kind\":\"x\",\"address\":\"y\"}]"), "link 'x'" },
        { NODE("\"host\":\"::1\"},{\"name\":\"a\",\"host\":\"::2\""), "unique" },
        { NODE("\"host\":\"::1\"},{\"name\":\"b\",\"host\":\"::1\""), "share host" },
        { NODE("\"host\":\"::1\"},{\"name\":\"..\",\"host\":\"::2\""), "node name '..'" },
        { NODE("\"host\":\"::1\"},{\"name\":\"b/c\",\"host\":\"::2\""), "node name 'b/c'" },
        { "{\"cluster\":{\"name\":\"c\",\"hub\":\"mirror\"},\"nodes\":[{\"name\":\"a\","
          "\"host\":\"::1\"}]}",
          "hub 'mirror'" },
        { "{\"cluster\":{\"name\":\"c\",\"discovery\":[\"smoke\"]},"
          "\"nodes\":[{\"name\":\"a\",\"host\":\"::1\"}]}",
          "smoke" },
        { "a: &x {}\nb: *x\n", "Unexpected key" },
    };
    const struct fixture *f = *state;
    struct config *config = NULL;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const enum status s = load(f, bad[i].text, &config, &err);

        if (s != ST_FORMAT && s != ST_RANGE)
            fail_msg("accepted: %s", bad[i].text);
        assert_null(config);
        if (!strstr(err.words, bad[i].says) || !strstr(err.words, f->path))
            fail_msg("'%s' does not say '%s'", err.words, bad[i].says);
        assert_null(strchr(err.words, '\n'));
    }
}

static void names_and_counts_are_bounded(void **state)
{
    const struct fixture *f = *state;
    struct config *config = NULL;
    struct buf text = { 0 };
    struct err err;

    buf_puts(&text, "{\"cluster\":{\"name\":\"c\"},\"nodes\":[");
    for (int i = 0; i <= CONFIG_NODES_MAX; i++)
        buf_printf(&text, "%s{\"name\":\"n%d\",\"host\":\"10.0.0.%d\"}", i ? "," : "", i, i);
    buf_puts(&text, "]}");
    assert_int_equal(load(f, buf_text(&text), &config, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "1024 max"));

    buf_clear(&text);
    buf_printf(&text, "{\"cluster\":{\"name\":\"%0*d\"},\"nodes\":[]}", CONFIG_NAME_MAX, 0);
    assert_int_equal(load(f, buf_text(&text), &config, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "length > 63"));
    buf_release(&text);
}

static void a_missing_file_is_named(void **state)
{
    struct config *config = NULL;
    struct err err;

    (void)state;
    assert_int_equal(config_load("/nowhere/cluster.json", &config, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "/nowhere/cluster.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shipped_file_describes_three_machines),
        cmocka_unit_test(what_is_left_out_has_defaults),
        cmocka_unit_test(discovery_is_a_list_of_ways),
        cmocka_unit_test(every_mistake_is_one_sentence_with_its_place),
        cmocka_unit_test(names_and_counts_are_bounded),
        cmocka_unit_test(a_missing_file_is_named),
    };
    return cmocka_run_group_tests_name("config", tests, set_up, tear_down);
}
