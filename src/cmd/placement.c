/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/placement.c - read and show where a model runs. */
#include "cmd/placement.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "cmd/api.h"
#include "cmd/units.h"
#include "contract/plan.h"

enum { LAYERS_MAX = 100000, LAYERS_TEXT_MAX = 48 };

/* "a,b" as an array of names. */
static json_t *names_array(const char *text)
{
    json_t *names = json_array();

    while (names) {
        const size_t n = strcspn(text, ",");

        if (json_array_append_new(names, json_stringn(text, n)) != 0) {
            json_decref(names);
            return NULL;
        }
        if (text[n] == '\0')
            break;
        text += n + 1;
    }
    return names;
}

static size_t names_count(const char *text)
{
    size_t n = 1;

    for (; *text; text++)
        n += *text == ',';
    return n;
}

/* The split is checked here, where a mistake can be named before a node is asked. */
static enum status split_read(const struct placement *p, uint32_t *ret_layers, size_t *ret_n,
                              struct err *err)
{
    enum status s;

    *ret_n = 0;
    if (!p->split)
        return ST_OK;
    s = units_list(p->split, 1, LAYERS_MAX, ret_layers, PLAN_SHARDS_MAX, ret_n, err);
    if (s != ST_OK) {
        err_wrap(err, "--split");
        return s;
    }
    if (p->nodes && names_count(p->nodes) != *ret_n)
        return err_set(err, ST_RANGE, "--nodes names %zu nodes and --split has %zu parts",
                       names_count(p->nodes), *ret_n);
    return ST_OK;
}

static int set_split(json_t *body, const uint32_t *layers, size_t n)
{
    json_t *split = json_array();

    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(split, json_integer(layers[i])) != 0)
            break;
    return json_object_set_new(body, "split", split);
}

enum status placement_check(const struct placement *p, struct err *err)
{
    uint32_t layers[PLAN_SHARDS_MAX];
    size_t n;

    return split_read(p, layers, &n, err);
}

enum status placement_pins(const struct placement *p, struct buf *ret_pins, struct err *err)
{
    enum status s = ST_OK;

    if (p->strategy)
        buf_printf(ret_pins, "strategy=%s\n", p->strategy);
    if (!p->overrides)
        return buf_status(ret_pins);
    if (access(p->overrides, F_OK) == 0)
        s = file_read(p->overrides, PLACEMENT_PINS_MAX, ret_pins, err);
    else if (strchr(p->overrides, '/'))
        s = err_set(err, ST_NOTFOUND, "--overrides: there is no file '%s'", p->overrides);
    else
        buf_puts(ret_pins, p->overrides);
    if (s == ST_OK)
        s = buf_status(ret_pins);
    if (s == ST_OK && ret_pins->len > PLACEMENT_PINS_MAX)
        s = err_set(err, ST_RANGE, "--overrides is longer than %d bytes", PLACEMENT_PINS_MAX);
    return s;
}

/* Numbers and pins that the planner wants; 0 where they could be set. */
static int set_workload(const struct placement *p, const char *pins, json_t *body)
{
    int failed = 0;

    if (p->streams > 0)
        failed |= json_object_set_new(body, "streams", json_integer(p->streams));
    if (p->prompt_tokens > 0)
        failed |= json_object_set_new(body, "prompt", json_integer(p->prompt_tokens));
    if (*pins)
        failed |= json_object_set_new(body, "overrides", json_string(pins));
    return failed;
}

enum status placement_body(const struct placement *p, const char *model, json_t **ret_body,
                           struct err *err)
{
    uint32_t layers[PLAN_SHARDS_MAX];
    struct buf pins = { 0 };
    json_t *body = NULL;
    int failed = 0;
    enum status s;
    size_t n;

    s = split_read(p, layers, &n, err);
    if (s == ST_OK)
        s = placement_pins(p, &pins, err);
    if (s == ST_OK) {
        body = json_pack("{s:s}", "model", model);
        if (!body)
            s = err_set(err, ST_FORMAT, "the model's name is not UTF-8");
    }
    if (s != ST_OK) {
        buf_release(&pins);
        return s;
    }
    if (p->nodes)
        failed |= json_object_set_new(body, "nodes", names_array(p->nodes));
    if (n > 0)
        failed |= set_split(body, layers, n);
    if (p->context_tokens > 0)
        failed |= json_object_set_new(body, "context", json_integer(p->context_tokens));
    if (p->kv)
        failed |= json_object_set_new(body, "kv", json_string(p->kv));
    if (p->activations > 0)
        failed |= json_object_set_new(body, "activations", json_integer(p->activations));
    if (p->transport)
        failed |= json_object_set_new(body, "transport", json_string(p->transport));
    if (p->wire)
        failed |= json_object_set_new(body, "wire", json_string(p->wire));
    if (p->draft)
        failed |= json_object_set_new(body, "draft", json_string(p->draft));
    failed |= set_workload(p, buf_text(&pins), body);
    buf_release(&pins);
    if (failed != 0) {
        json_decref(body);
        return err_set(err, ST_FORMAT, "a name is not UTF-8");
    }
    *ret_body = body;
    return ST_OK;
}

enum status placement_query(const struct placement *p, const char *model, struct buf *ret_query,
                            struct err *err)
{
    uint32_t layers[PLAN_SHARDS_MAX];
    struct buf pins = { 0 };
    enum status s;
    size_t n;

    s = split_read(p, layers, &n, err);
    if (s == ST_OK)
        s = placement_pins(p, &pins, err);
    if (s != ST_OK) {
        buf_release(&pins);
        return s;
    }
    buf_puts(ret_query, "?model=");
    api_escape(ret_query, model);
    if (p->nodes) {
        buf_puts(ret_query, "&nodes=");
        api_escape(ret_query, p->nodes);
    }
    if (p->split)
        buf_printf(ret_query, "&split=%s", p->split);
    if (p->context_tokens > 0)
        buf_printf(ret_query, "&context=%u", p->context_tokens);
    if (p->kv) {
        buf_puts(ret_query, "&kv=");
        api_escape(ret_query, p->kv);
    }
    if (p->activations > 0)
        buf_printf(ret_query, "&activations=%u", p->activations);
    if (p->transport) {
        buf_puts(ret_query, "&transport=");
        api_escape(ret_query, p->transport);
    }
    if (p->wire) {
        buf_puts(ret_query, "&wire=");
        api_escape(ret_query, p->wire);
    }
    if (p->draft) {
        buf_puts(ret_query, "&draft=");
        api_escape(ret_query, p->draft);
    }
    if (p->streams > 0)
        buf_printf(ret_query, "&streams=%u", p->streams);
    if (p->prompt_tokens > 0)
        buf_printf(ret_query, "&prompt=%u", p->prompt_tokens);
    if (pins.len > 0) {
        buf_puts(ret_query, "&overrides=");
        api_escape(ret_query, buf_text(&pins));
    }
    buf_release(&pins);
    return buf_status(ret_query);
}

/* "fetching 40%, 112 MB/s, 14 s left; 80 MB from peers"; empty for a plan. */
static void stage_text(const json_t *shard, struct buf *ret_text)
{
    static const char *const places[][2] = { { "peer_bytes", "peers" },
                                             { "hub_bytes", "the hub" } };
    const char *stage = json_string_value(json_object_get(shard, "stage"));
    const double total = json_number_value(json_object_get(shard, "total_bytes"));
    const double rate = json_number_value(json_object_get(shard, "bytes_per_s"));
    const json_t *left = json_object_get(shard, "seconds_left");
    const char *before = "; ";
    char text[UNITS_MAX];

    buf_puts(ret_text, stage ? stage : "");
    if (total > 0)
        buf_printf(ret_text, " %.0f%%",
                   100 * json_number_value(json_object_get(shard, "done_bytes")) / total);
    if (rate > 0)
        buf_printf(ret_text, ", %s/s", units_bytes((uint64_t)rate, text));
    if (left)
        buf_printf(ret_text, ", %s left", units_seconds(json_number_value(left), text));
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        const json_int_t bytes = json_integer_value(json_object_get(shard, places[i][0]));

        if (bytes <= 0)
            continue;
        buf_printf(ret_text, "%s%s from %s", before, units_bytes((uint64_t)bytes, text),
                   places[i][1]);
        before = ", ";
    }
}

void placement_print_shards(const json_t *shards)
{
    const json_t *shard;
    size_t i;
    const bool has_stage = json_object_get(json_array_get(shards, 0), "stage") != NULL;

    printf("  %-20s %-12s %10s %10s%s\n", "NODE", "LAYERS", "WEIGHTS", "KV CACHE",
           has_stage ? "  STATE" : "");
    json_array_foreach(shards, i, shard)
    {
        const char *node = json_string_value(json_object_get(shard, "node"));
        const json_int_t first = json_integer_value(json_object_get(shard, "first_layer"));
        const json_int_t n = json_integer_value(json_object_get(shard, "n_layers"));
        const json_int_t weights = json_integer_value(json_object_get(shard, "weight_bytes"));
        const json_int_t kv = json_integer_value(json_object_get(shard, "kv_bytes"));
        const json_t *share = json_object_get(shard, "share");
        int n_text;
        char layers[LAYERS_TEXT_MAX], weights_text[UNITS_MAX], kv_text[UNITS_MAX];
        struct buf stage = { 0 };

        n_text = snprintf(layers, sizeof(layers), "%d-%d", (int)first, (int)(first + n - 1));
        if (share)
            (void)snprintf(layers + n_text, sizeof(layers) - (size_t)n_text, " %.0f%%",
                           100 * json_number_value(share));
        stage_text(shard, &stage);
        printf("  %-20s %-12s %10s %10s%s%s\n", node ? node : "?", layers,
               units_bytes((uint64_t)weights, weights_text), units_bytes((uint64_t)kv, kv_text),
               has_stage ? "  " : "", buf_text(&stage));
        buf_release(&stage);
    }
}
