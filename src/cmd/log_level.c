/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/log_level.c - `pomona log-level`: what a node and its runners log, while they run. */
#include <stdio.h>

#include "base/log_level.h"
#include "base/size.h"
#include "cmd/api.h"
#include "cmd/options.h"

/* level  NULL: it is only asked */
static enum status ask(const struct app *app, const char *level, json_t **ret_reply,
                       struct err *err)
{
    json_t *body;
    enum status s;

    if (!level)
        return api_get(app, "/cluster/log-level", ret_reply, err);
    body = json_pack("{s:s}", "level", level);
    if (!body)
        return err_set(err, ST_FORMAT, "the level is not UTF-8");
    s = api_post(app, "/cluster/log-level", body, ret_reply, err);
    json_decref(body);
    return s;
}

int cmd_log_level(struct app *app, int argc, char **argv)
{
    const struct option_row rows[] = { OPTION_API(app) };
    static const char *const examples[] = { "", "debug", "info,cluster=debug,access=warn", NULL };
    const struct usage usage = {
        .arguments = "[LEVELS]",
        .max_args = 1,
        .about =
            "Show which lines a node and its runners log, or change it: a level (debug, info,\n"
            "warn, error), and others for components. It holds until the node starts anew or\n"
            "reads its settings on SIGHUP.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX] = { NULL }, *now;
    struct log_levels levels;
    struct err err = { 0 };
    json_t *reply = NULL;
    int exit_status;
    enum status s = ST_OK;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (args[0])
        s = log_levels_parse(args[0], &levels, &err);
    if (s == ST_OK)
        s = ask(app, args[0], &reply, &err);
    if (s != ST_OK)
        return app_fail(app, &err);
    now = json_string_value(json_object_get(reply, "level"));
    printf("%s\n", now ? now : "?");
    json_decref(reply);
    return EXIT_FINE;
}
