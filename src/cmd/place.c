/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/place.c - `pomona place` and `pomona unplace`: make and end instances. */
#include <stdio.h>

#include "base/size.h"
#include "cmd/api.h"
#include "cmd/placement.h"
#include "cmd/progress.h"
#include "cmd/units.h"

struct placing {
    struct progress progress;
    json_t *instance; /* NULL until the last line */
};

/* Of the nodes that fetch, the one that takes longest. */
static void say_fetching(const json_t *shards, char *ret_text, size_t capacity)
{
    double longest = -1;
    const json_t *shard;
    size_t i;

    ret_text[0] = '\0';
    json_array_foreach(shards, i, shard)
    {
        const char *node = json_string_value(json_object_get(shard, "node"));
        const json_t *left = json_object_get(shard, "seconds_left");
        char rate[UNITS_MAX], time[UNITS_MAX];

        if (!node || !left || json_number_value(left) <= longest)
            continue;
        longest = json_number_value(left);
        (void)snprintf(
            ret_text, capacity, "  %s fetches %s/s, %s left", node,
            units_bytes((uint64_t)json_number_value(json_object_get(shard, "bytes_per_s")), rate),
            units_seconds(longest, time));
    }
}

static enum status on_line(void *arg, const json_t *line, struct err *err)
{
    struct placing *placing = arg;
    json_t *instance = json_object_get(line, "instance");
    char detail[160];

    if (json_object_get(line, "error"))
        return api_error(line, ST_IO, "the model could not be placed", err);
    if (instance) {
        json_decref(placing->instance);
        placing->instance = json_incref(instance);
        return ST_OK;
    }
    say_fetching(json_object_get(line, "shards"), detail, sizeof(detail));
    progress_part(&placing->progress, json_number_value(json_object_get(line, "progress")), detail);
    return ST_OK;
}

static void print_instance(const json_t *instance)
{
    const double seconds = json_number_value(json_object_get(instance, "load_seconds"));
    const char *model = json_string_value(json_object_get(instance, "model"));
    char text[UNITS_MAX];

    printf("%s is ready, loaded in %s\n", model ? model : "the model",
           units_seconds(seconds, text));
    placement_print_shards(json_object_get(instance, "shards"));
}

static enum status place(const struct app *app, const struct placement *placement,
                         const char *model, struct err *err)
{
    struct placing placing = { 0 };
    json_t *body = NULL;
    enum status s;

    s = placement_body(placement, model, &body, err);
    if (s != ST_OK)
        return s;
    progress_begin(&placing.progress, app, "placing");
    s = api_post_lines(app, "/cluster/place", body, on_line, &placing, err);
    progress_end(&placing.progress);
    if (s == ST_OK && !placing.instance)
        s = err_set(err, ST_FORMAT, "the node broke off before the model was placed");
    if (s == ST_OK)
        print_instance(placing.instance);
    json_decref(placing.instance);
    json_decref(body);
    return s;
}

int cmd_place(struct app *app, int argc, char **argv)
{
    struct placement placement = { 0 };
    const struct option_row rows[] = {
        PLACEMENT_ROWS(&placement),
        OPTION_API(app),
    };
    static const char *const examples[] = {
        "smollm2",
        "smollm2 --nodes studio-1,studio-2 --split 18,12",
        NULL,
    };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "Load a model over the nodes of the cluster, so that its first answer does not\n"
                 "wait. A request for a model that is not placed places it by itself.",
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
    return app_end(app, place(app, &placement, args[0], &err), &err);
}

static enum status unplace(const struct app *app, const char *model, struct err *err)
{
    json_t *body = json_pack("{s:s}", "model", model), *reply = NULL;
    enum status s;

    if (!body)
        return err_set(err, ST_FORMAT, "the model's name is not UTF-8");
    s = api_post(app, "/cluster/unplace", body, &reply, err);
    if (s == ST_OK)
        printf("%s is no longer placed\n", model);
    json_decref(body);
    json_decref(reply);
    return s;
}

int cmd_unplace(struct app *app, int argc, char **argv)
{
    const struct option_row rows[] = { OPTION_API(app) };
    static const char *const examples[] = { "smollm2", NULL };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "End every instance of a model on all nodes and free its memory.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    return app_end(app, unplace(app, args[0], &err), &err);
}
