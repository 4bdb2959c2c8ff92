/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan.c - `pomona plan`: every way to run a model, with what it would be like, without loading it. */
#include <stdio.h>

#include "base/size.h"
#include "cmd/api.h"
#include "cmd/placement.h"
#include "cmd/plan_offline.h"
#include "cmd/plan_table.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "?";
}

static void print_plan(const json_t *plan)
{
    const json_t *workload = json_object_get(plan, "workload");
    const json_int_t streams = json_integer_value(json_object_get(workload, "streams"));

    printf("%s, %d tokens of context, %lld tokens of KV cache", text_of(plan, "model"),
           (int)json_integer_value(json_object_get(plan, "context_tokens")),
           (long long)json_integer_value(json_object_get(plan, "kv_tokens")));
    if (workload)
        printf(", %lld stream%s, prompts of %lld tokens", (long long)streams,
               streams == 1 ? "" : "s",
               (long long)json_integer_value(json_object_get(workload, "prompt_tokens")));
    (void)putchar('\n');
    if (json_array_size(json_object_get(plan, "shards")) > 0)
        placement_print_shards(json_object_get(plan, "shards"));
    plan_table_print(plan);
    if (json_object_get(plan, "assumes"))
        printf("\n%s\n", text_of(plan, "assumes"));
}

static enum status ask_node(const struct app *app, const struct placement *placement,
                            const char *model, json_t **ret_reply, struct err *err)
{
    struct buf path = { 0 };
    enum status s;

    buf_puts(&path, "/cluster/plan");
    s = placement_query(placement, model, &path, err);
    if (s == ST_OK)
        s = api_get(app, buf_text(&path), ret_reply, err);
    buf_release(&path);
    return s;
}

static enum status plan(const struct app *app, const struct placement *placement,
                        const char *cluster, const char *model, bool is_json, struct err *err)
{
    json_t *reply = NULL;
    enum status s;

    s = cluster ? plan_offline(app, cluster, model, placement, &reply, err)
                : ask_node(app, placement, model, &reply, err);
    if (s == ST_OK && is_json) {
        (void)json_dumpf(reply, stdout, JSON_COMPACT);
        (void)putchar('\n');
    } else if (s == ST_OK) {
        print_plan(reply);
    }
    if (s == ST_OK && json_is_null(json_object_get(reply, "strategy")) &&
        json_array_size(json_object_get(reply, "shards")) == 0)
        s = err_set(err, ST_FULL, "no strategy that this build executes can run '%s' there", model);
    json_decref(reply);
    return s;
}

int cmd_plan(struct app *app, int argc, char **argv)
{
    struct placement placement = { 0 };
    const char *cluster = NULL;
    bool is_json = false;
    const struct option_row rows[] = {
        { "cluster", 0, "FILE", "plan for the nodes of this file; none needs to run", OPTION_TEXT,
          &cluster, 0, 0 },
        PLACEMENT_ROWS(&placement),
        { "json", 0, NULL, "the plan as one JSON object", OPTION_FLAG, &is_json, 0, 0 },
        OPTION_DATA(app),
        OPTION_API(app),
    };
    static const char *const examples[] = {
        "smollm2",
        "smollm2 --nodes studio-1,studio-2 --split 18,12 --json",
        "llama-70b-q4_0 --cluster config/cluster_nodes.json --streams 16",
        "gpt-oss-120b --cluster config/cluster_nodes.json --overrides studio-1=20,studio-2=16",
        NULL,
    };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "Show every way to run a model on the nodes of a cluster: memory, predicted\n"
                 "tokens/s, time to the first token, load time, and why a way is impossible.\n"
                 "Nothing is loaded. With --cluster, MODEL is a model of this machine, or\n"
                 "llama-8b-q4_0, llama-70b-q4_0 or gpt-oss-120b, of which no file is needed.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (placement_check(&placement, &err) != ST_OK)
        return app_wrong_use(app, "%s", err.words);
    return app_end(app, plan(app, &placement, cluster, args[0], is_json, &err), &err);
}
