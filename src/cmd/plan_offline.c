/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan_offline.c - plan for a cluster that is described in a file, without a node. */
#include "cmd/plan_offline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/plan_cluster.h"
#include "cmd/units.h"
#include "model/store/store.h"
#include "partition/overrides.h"
#include "partition/report.h"

static const char gpu_words[] =
    "nodes with gpu_cores are costed as their GPUs; this build computes on the CPU";

static enum status find_shape(const struct app *app, const char *name, struct plan_shape *ret,
                              struct err *err)
{
    struct store_entry *entry = NULL;
    char data_dir[PATH_MAX_BYTES];
    struct buf names = { 0 };
    struct store store;
    enum status s;

    if (plan_shape_find(name, ret))
        return ST_OK;
    entry = calloc(1, sizeof(*entry));
    if (!entry)
        return err_set(err, ST_NOMEM, "the description of '%s'", name);
    s = app_data_dir(app, data_dir, err);
    if (s == ST_OK)
        s = store_init(&store, data_dir, err);
    if (s == ST_OK)
        s = store_find(&store, name, entry, err);
    if (s == ST_OK)
        plan_shape_of(&entry->info, ret);
    plan_shape_names(&names);
    if (s == ST_NOTFOUND)
        err_wrap(err, "no file is needed for %s", buf_text(&names));
    buf_release(&names);
    free(entry);
    return s;
}

/* --split is a pin for each node there is. */
static enum status pin_split(const struct placement *placement, struct plan_cluster *cluster,
                             struct err *err)
{
    const char *split = placement->split;
    uint32_t layers[PLAN_SHARDS_MAX];
    size_t n = 0;
    enum status s;

    if (!split)
        return ST_OK;
    if (placement->strategy && strcmp(placement->strategy, "tensor") == 0)
        return err_set(err, ST_RANGE,
                       "--split with --strategy tensor is for nodes that run: what a team of other "
                       "machines is like is told for the shares that the planner deals");
    s = units_list(split, 1, UINT16_MAX, layers, PLAN_SHARDS_MAX, &n, err);
    if (s == ST_OK && n != cluster->n_nodes)
        s = err_set(err, ST_RANGE, "--split has %zu parts for %zu nodes", n, cluster->n_nodes);
    for (size_t i = 0; i < n && s == ST_OK; i++)
        cluster->nodes[i].least_layers = cluster->nodes[i].most_layers = layers[i];
    return s;
}

static enum status read_pins(const struct placement *placement, struct plan_cluster *cluster,
                             struct plan_overrides *ret, struct err *err)
{
    struct buf text = { 0 };
    enum status s = ST_OK;

    if (placement->nodes)
        s = plan_cluster_take(cluster, placement->nodes, err);
    if (s == ST_OK)
        s = pin_split(placement, cluster, err);
    if (s == ST_OK)
        s = placement_pins(placement, &text, err);
    if (s == ST_OK)
        s = overrides_parse(buf_text(&text), ret, err);
    if (s == ST_OK)
        s = overrides_apply(ret, cluster->nodes, cluster->n_nodes, err);
    buf_release(&text);
    return s;
}

static enum status make_reply(const struct planner_input *in, const struct plan_report *report,
                              uint64_t planned_ns, bool has_gpus, json_t **ret_reply,
                              struct err *err)
{
    const struct plan_workload *w = in->workload;
    struct buf text = { 0 };
    enum status s;

    buf_printf(&text, "{\"model\":\"%s\",\"context_tokens\":%u,\"kv_tokens\":%" PRIu64 ",",
               in->shape->info.name, w->context_tokens, (uint64_t)w->context_tokens * w->streams);
    report_write_shards(in, report, &text);
    buf_putc(&text, ',');
    report_write(in, report, &text);
    if (has_gpus)
        buf_printf(&text, ",\"assumes\":\"%s\"", gpu_words);
    buf_printf(&text, ",\"planned_ms\":%.3f}", (double)planned_ns / 1e6);
    s = buf_status(&text);
    if (s == ST_OK) {
        *ret_reply = json_loadb(text.data, text.len, 0, NULL);
        if (!*ret_reply)
            s = err_set(err, ST_NOMEM, "a plan of %zu nodes", in->cluster->n_nodes);
    }
    buf_release(&text);
    return s;
}

static enum status plan(const struct placement *placement, const struct plan_shape *shape,
                        struct plan_cluster *nodes, json_t **ret_reply, struct err *err)
{
    struct plan_workload workload = { .streams = placement->streams,
                                      .context_tokens = placement->context_tokens,
                                      .prompt_tokens = placement->prompt_tokens };
    struct plan_overrides overrides;
    struct plan_report report;
    enum status s;

    s = kv_format_find(placement->kv, &workload.kv_format, err);
    if (s == ST_OK)
        s = sum_format_find(placement->wire, &workload.sums, err);
    if (s == ST_OK)
        s = planner_workload(shape, &workload, err);
    if (s == ST_OK)
        s = read_pins(placement, nodes, &overrides, err);
    if (s != ST_OK)
        return s;

    const struct cost_cluster cluster = { .nodes = nodes->nodes, .n_nodes = nodes->n_nodes };
    const struct planner_input in = { &cluster, shape, &workload, overrides.strategy,
                                      overrides.team_size };
    const uint64_t begun_ns = clock_ns();

    s = planner_run(&in, &report, err);
    if (s != ST_OK)
        return s;
    s = make_reply(&in, &report, clock_ns() - begun_ns, nodes->has_gpus, ret_reply, err);
    planner_release(&report);
    return s;
}

enum status plan_offline(const struct app *app, const char *cluster, const char *model,
                         const struct placement *placement, json_t **ret_reply, struct err *err)
{
    struct plan_cluster nodes = { 0 };
    struct config *config = NULL;
    struct plan_shape shape;
    enum status s;

    if (placement->draft)
        return err_set(err, ST_UNSUPPORTED, "--draft is planned by a node: leave out --cluster");
    s = config_load(cluster, &config, err);
    if (s == ST_OK)
        s = plan_cluster_make(config, &nodes, err);
    config_free(config);
    if (s == ST_OK)
        s = find_shape(app, model, &shape, err);
    if (s == ST_OK)
        s = plan(placement, &shape, &nodes, ret_reply, err);
    plan_cluster_release(&nodes);
    return s;
}
