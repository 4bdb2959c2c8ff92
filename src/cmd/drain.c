/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/drain.c - `pomona drain` and `pomona undrain`: a node holds nothing, and again something. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/size.h"
#include "cmd/api.h"
#include "cmd/options.h"

enum { POLL_MS = 250, WAIT_S = 600, WAIT_MAX_S = 86400 };

static enum status post(const struct app *app, const char *path, const char *node, struct err *err)
{
    json_t *body = json_pack("{s:s}", "node", node), *reply = NULL;
    enum status s;

    if (!body)
        return err_set(err, ST_FORMAT, "the node's name is not UTF-8");
    s = api_post(app, path, body, &reply, err);
    json_decref(body);
    json_decref(reply);
    return s;
}

static bool holds(const json_t *instance, const char *node)
{
    const json_t *shard;
    size_t i;

    json_array_foreach(json_object_get(instance, "shards"), i, shard)
    {
        const char *name = json_string_value(json_object_get(shard, "node"));

        if (name && strcmp(name, node) == 0)
            return true;
    }
    return false;
}

static enum status count_held(const struct app *app, const char *node, size_t *ret_n,
                              struct err *err)
{
    json_t *state = NULL;
    const json_t *instance;
    size_t i, n = 0;
    enum status s = api_get(app, "/cluster/state", &state, err);

    if (s != ST_OK)
        return s;
    json_array_foreach(json_object_get(state, "instances"), i, instance) n += holds(instance, node);
    json_decref(state);
    *ret_n = n;
    return ST_OK;
}

static enum status await_empty(const struct app *app, const char *node, uint64_t wait_s,
                               struct err *err)
{
    const struct timespec pause = { 0, POLL_MS * 1000000L };
    const uint64_t until_ns = deadline_after_ms(wait_s * 1000);
    size_t n = 0;
    enum status s;

    for (;;) {
        s = count_held(app, node, &n, err);
        if (s != ST_OK || n == 0)
            return s;
        if (clock_ns() >= until_ns)
            return err_set(err, ST_DEADLINE,
                           "%s still holds a part of %zu instance%s; it goes on draining", node, n,
                           n == 1 ? "" : "s");
        (void)nanosleep(&pause, NULL);
    }
}

int cmd_drain(struct app *app, int argc, char **argv)
{
    uint32_t wait_s = WAIT_S;
    const struct option_row rows[] = {
        { "wait", 'w', "SECONDS", "for it to hold nothing, 600 by default", OPTION_U32, &wait_s, 0,
          WAIT_MAX_S },
        OPTION_API(app),
    };
    static const char *const examples[] = { "studio-2", "studio-2 --wait 0", NULL };
    const struct usage usage = {
        .arguments = "NODE",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Move what a node holds to the others and place nothing on it, before work on it.\n"
            "Running answers go on. It still answers the API. 'pomona undrain' ends this.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (post(app, "/cluster/drain", args[0], &err) != ST_OK ||
        await_empty(app, args[0], wait_s, &err) != ST_OK)
        return app_fail(app, &err);
    printf("%s holds nothing\n", args[0]);
    return EXIT_FINE;
}

int cmd_undrain(struct app *app, int argc, char **argv)
{
    const struct option_row rows[] = { OPTION_API(app) };
    static const char *const examples[] = { "studio-2", NULL };
    const struct usage usage = {
        .arguments = "NODE",
        .min_args = 1,
        .max_args = 1,
        .about = "Let a node that was drained take part in placements again.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (post(app, "/cluster/undrain", args[0], &err) != ST_OK)
        return app_fail(app, &err);
    printf("%s takes part again\n", args[0]);
    return EXIT_FINE;
}
