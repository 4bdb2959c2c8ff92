/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/status.c - `pomona status`: the cluster as one node sees it. */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cmd/api.h"
#include "cmd/placement.h"
#include "cmd/units.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "?";
}

static uint64_t number_of(const json_t *object, const char *key)
{
    const json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}

static const char *state_of(const json_t *node)
{
    if (!json_is_true(json_object_get(node, "alive")))
        return "dead";
    if (!json_is_true(json_object_get(node, "connected")))
        return "cut off";
    return json_is_true(json_object_get(node, "draining")) ? "draining" : "alive";
}

static void print_speed(const json_t *speed)
{
    char reads[UNITS_MAX] = "-", computes[UNITS_MAX] = "-";

    if (speed) {
        (void)snprintf(reads, sizeof(reads), "%.1f GB/s",
                       json_number_value(json_object_get(speed, "memory_gbs")));
        (void)snprintf(computes, sizeof(computes), "%.0f GOPS",
                       json_number_value(json_object_get(speed, "compute_gops")));
    }
    printf(" %11s %10s\n", reads, computes);
}

static void print_nodes(const json_t *nodes)
{
    const json_t *node;
    size_t i;

    printf("\n%-20s %-24s %-8s %22s %9s %11s %10s\n", "NODE", "ADDRESS", "STATE", "MEMORY IN USE",
           "RTT", "READS", "COMPUTES");
    json_array_foreach(nodes, i, node)
    {
        const bool is_local = json_is_true(json_object_get(node, "local"));
        const char *host = text_of(node, "host");
        char used[UNITS_MAX], all[UNITS_MAX], address[96], memory[2 * UNITS_MAX], rtt[UNITS_MAX];

        (void)snprintf(address, sizeof(address), strchr(host, ':') ? "[%s]:%llu" : "%s:%llu", host,
                       (unsigned long long)number_of(node, "api_port"));
        (void)snprintf(memory, sizeof(memory), "%s of %s",
                       units_bytes(number_of(node, "memory_used_bytes"), used),
                       units_bytes(number_of(node, "memory_bytes"), all));
        (void)snprintf(rtt, sizeof(rtt), "%.1f ms",
                       json_number_value(json_object_get(node, "rtt_ms")));
        printf("%-20s %-24s %-8s %22s %9s", text_of(node, "name"), address, state_of(node), memory,
               is_local ? "here" : rtt);
        print_speed(json_object_get(node, "speed"));
    }
}

static void print_blocked(const json_t *nodes)
{
    const json_t *node;
    size_t i;

    json_array_foreach(nodes, i, node)
    {
        if (json_is_true(json_object_get(node, "connected")) &&
            !json_is_true(json_object_get(node, "datagrams")))
            printf("no datagrams of %s come: is UDP port %llu blocked?  Its channel alone tells "
                   "whether it is there\n",
                   text_of(node, "name"), (unsigned long long)number_of(node, "port"));
    }
}

static void print_links(const json_t *links)
{
    const json_t *link;
    size_t i;

    printf("\n%-20s %-20s %-26s %11s %11s\n", "FROM", "TO", "AT", "ONE WAY", "RATE");
    json_array_foreach(links, i, link)
    {
        char latency[UNITS_MAX] = "-", rate[UNITS_MAX] = "no answer";

        if (json_is_true(json_object_get(link, "answers"))) {
            (void)snprintf(latency, sizeof(latency), "%.0f us",
                           json_number_value(json_object_get(link, "latency_us")));
            (void)snprintf(rate, sizeof(rate), "%.1f MB/s",
                           json_number_value(json_object_get(link, "bytes_per_s")) / 1e6);
        }
        printf("%-20s %-20s %-26s %11s %11s%s\n", text_of(link, "from"), text_of(link, "to"),
               text_of(link, "host"), latency, rate,
               json_is_true(json_object_get(link, "best")) ? "  *" : "");
    }
    if (json_array_size(links) == 0)
        printf("no link is measured yet\n");
}

static void print_instances(const json_t *instances)
{
    const json_t *instance;
    size_t i;

    json_array_foreach(instances, i, instance)
    {
        printf("\n%s: %s", text_of(instance, "model"), text_of(instance, "state"));
        if (json_number_value(json_object_get(instance, "progress")) < 1)
            printf(" (%.0f%%)", json_number_value(json_object_get(instance, "progress")) * 100);
        printf(", %llu answering, %llu waiting, %llu of %llu KV tokens (and %llu cached), "
               "%llu tokens generated\n",
               (unsigned long long)number_of(instance, "active"),
               (unsigned long long)number_of(instance, "waiting"),
               (unsigned long long)number_of(instance, "kv_tokens_used"),
               (unsigned long long)number_of(instance, "kv_tokens"),
               (unsigned long long)number_of(instance, "kv_tokens_cached"),
               (unsigned long long)number_of(instance, "generated_tokens"));
        placement_print_shards(json_object_get(instance, "shards"));
    }
}

static void print_models(const json_t *models)
{
    char parameters[UNITS_MAX], size[UNITS_MAX];
    const json_t *model;
    size_t i;

    printf("\n%-36s %-8s %8s %10s %10s\n", "MODEL", "ARCH", "LAYERS", "PARAMS", "SIZE");
    json_array_foreach(models, i, model)
        printf("%-36s %-8s %8llu %10s %10s\n", text_of(model, "name"),
               text_of(model, "architecture"), (unsigned long long)number_of(model, "n_layer"),
               units_count(number_of(model, "parameters"), parameters),
               units_bytes(number_of(model, "file_bytes"), size));
}

static void print_leader(const json_t *state)
{
    const char *kind = text_of(state, "leadership");

    if (strcmp(kind, "none") == 0)
        printf("nobody leads\n");
    else if (strcmp(kind, "caretaker") == 0)
        printf("nobody can be elected to lead; node %s places what requests need\n",
               text_of(state, "leader"));
    else
        printf("node %s leads, epoch %llu\n", text_of(state, "leader"),
               (unsigned long long)number_of(state, "epoch"));
}

/* What shall be placed, and why it is not. */
static void print_trouble(const json_t *wanted)
{
    const json_t *model;
    size_t i;

    json_array_foreach(wanted, i, model) if (json_object_get(model, "trouble"))
        printf("\n%s shall be placed, and is not: %s\n", text_of(model, "model"),
               text_of(model, "trouble"));
}

static void print_state(const json_t *state, bool has_links)
{
    const json_t *instances = json_object_get(state, "instances");

    printf("cluster %s, as node %s sees it (pomona %s)\n", text_of(state, "cluster"),
           text_of(state, "node"), text_of(state, "version"));
    print_leader(state);
    print_nodes(json_object_get(state, "nodes"));
    print_blocked(json_object_get(state, "nodes"));
    if (has_links)
        print_links(json_object_get(state, "links"));
    print_models(json_object_get(state, "models"));
    print_instances(instances);
    print_trouble(json_object_get(state, "wanted"));
    if (json_array_size(instances) == 0)
        printf("\nno model is placed: a request places one, or 'pomona place MODEL'\n");
}

int cmd_status(struct app *app, int argc, char **argv)
{
    bool is_json = false, has_links = false;
    const struct option_row rows[] = {
        { "json", 0, NULL, "the state as one JSON object", OPTION_FLAG, &is_json, 0, 0 },
        { "links", 0, NULL, "show the links between nodes too, the best of each pair with a star",
          OPTION_FLAG, &has_links, 0, 0 },
        OPTION_API(app),
    };
    static const char *const examples[] = { "", "--links", "--json --api http://10.0.0.1:52415",
                                            NULL };
    const struct usage usage = {
        .arguments = "",
        .about = "Show the nodes of the cluster, its models and what is placed where.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    json_t *state = NULL;
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (api_get(app, "/cluster/state", &state, &err) != ST_OK)
        return app_fail(app, &err);
    if (is_json) {
        (void)json_dumpf(state, stdout, JSON_COMPACT);
        (void)putchar('\n');
    } else {
        print_state(state, has_links);
    }
    json_decref(state);
    return EXIT_FINE;
}
