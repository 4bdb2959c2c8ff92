/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan.c - `pomona plan`: which layers would run where, without loading anything. */
#include <stdio.h>

#include "base/size.h"
#include "cmd/api.h"
#include "cmd/placement.h"

static void print_plan(const json_t *plan)
{
    const char *model = json_string_value(json_object_get(plan, "model"));

    printf("%s, %d tokens of context, %lld tokens of KV cache\n", model ? model : "?",
           (int)json_integer_value(json_object_get(plan, "context_tokens")),
           (long long)json_integer_value(json_object_get(plan, "kv_tokens")));
    placement_print_shards(json_object_get(plan, "shards"));
}

static enum status plan(const struct app *app, const struct placement *placement, const char *model,
                        bool is_json, struct err *err)
{
    struct buf path = { 0 };
    json_t *reply = NULL;
    enum status s;

    buf_puts(&path, "/cluster/plan");
    s = placement_query(placement, model, &path, err);
    if (s == ST_OK)
        s = api_get(app, buf_text(&path), &reply, err);
    if (s == ST_OK && is_json) {
        (void)json_dumpf(reply, stdout, JSON_COMPACT);
        (void)putchar('\n');
    } else if (s == ST_OK) {
        print_plan(reply);
    }
    json_decref(reply);
    buf_release(&path);
    return s;
}

int cmd_plan(struct app *app, int argc, char **argv)
{
    struct placement placement = { 0 };
    bool is_json = false;
    const struct option_row rows[] = {
        PLACEMENT_ROWS(&placement),
        { "json", 0, NULL, "the plan as one JSON object", OPTION_FLAG, &is_json, 0, 0 },
        OPTION_API(app),
    };
    static const char *const examples[] = {
        "smollm2", "smollm2 --nodes studio-1,studio-2 --split 18,12 --json", NULL
    };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "Show which layers of a model would run on which node. Nothing is loaded.",
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
    return plan(app, &placement, args[0], is_json, &err) == ST_OK ? EXIT_FINE : app_fail(app, &err);
}
