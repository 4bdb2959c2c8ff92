/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/models.c - `pomona models`: what this machine's store holds. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "cmd/options.h"
#include "cmd/units.h"
#include "model/keep.h"
#include "model/store/store.h"

static void on_bad(void *arg, const char *path, const struct err *why)
{
    const struct app *app = arg;

    fprintf(stderr, "%s %s: '%s' is left out: %s\n", app->program, app->command, path, why->words);
}

static void print_table(const struct store_entry *entries, size_t n, const char *dir)
{
    char size[UNITS_MAX], panels[UNITS_MAX], parameters[UNITS_MAX], panels_dir[PATH_MAX_BYTES];

    if (n == 0) {
        printf("no models in %s: 'pomona import FILE' adds one\n", dir);
        return;
    }
    printf("%-36s %-8s %8s %10s %10s %10s %8s  %s\n", "NAME", "ARCH", "LAYERS", "PARAMS", "SIZE",
           "PANELS", "CONTEXT", "FROM");
    for (size_t i = 0; i < n; i++) {
        const struct model_info *info = &entries[i].info;
        const uint64_t panel_bytes = model_keep_bytes(entries[i].path, panels_dir);

        printf("%-36s %-8s %8u %10s %10s %10s %8u  %s\n", info->name, info->architecture,
               info->n_layer, units_count(info->n_parameters, parameters),
               units_bytes(info->file_bytes, size),
               panel_bytes > 0 ? units_bytes(panel_bytes, panels) : "-", info->context_tokens,
               info->origin[0] ? info->origin : "-");
    }
}

static void on_orphan(void *arg, const char *path)
{
    const struct app *app = arg;

    fprintf(stderr, "%s %s: '%s' was made for a model that is gone: it may be deleted\n",
            app->program, app->command, path);
}

/* One object a line, fields as in a node's /cluster/state. */
static enum status print_json(const struct store_entry *entries, size_t n, struct err *err)
{
    char panels_dir[PATH_MAX_BYTES];

    for (size_t i = 0; i < n; i++) {
        const struct model_info *info = &entries[i].info;
        json_t *object =
            json_pack("{s:s, s:s, s:i, s:I, s:I, s:I, s:i, s:s, s:s}", "name", info->name,
                      "architecture", info->architecture, "n_layer", (int)info->n_layer,
                      "parameters", (json_int_t)info->n_parameters, "file_bytes",
                      (json_int_t)info->file_bytes, "panel_bytes",
                      (json_int_t)model_keep_bytes(entries[i].path, panels_dir), "context_tokens",
                      (int)info->context_tokens, "path", entries[i].path, "origin", info->origin);

        if (!object)
            return err_set(err, ST_FORMAT, "'%s' has a path or a name that is not UTF-8",
                           entries[i].path);
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(object);
    }
    return ST_OK;
}

static enum status list(struct app *app, bool is_json, struct err *err)
{
    struct store_entry *entries = NULL;
    char data_dir[PATH_MAX_BYTES];
    struct store store;
    enum status s;
    size_t n = 0;

    s = app_data_dir(app, data_dir, err);
    if (s == ST_OK)
        s = store_init(&store, data_dir, err);
    if (s == ST_OK)
        s = store_list(&store, &entries, &n, on_bad, app, err);
    if (s == ST_OK && is_json)
        s = print_json(entries, n, err);
    else if (s == ST_OK)
        print_table(entries, n, store.dir);
    if (s == ST_OK)
        model_keep_orphans(store.dir, on_orphan, app);
    free(entries);
    return s;
}

int cmd_models(struct app *app, int argc, char **argv)
{
    bool is_json = false;
    const struct option_row rows[] = {
        { "json", 0, NULL, "one JSON object a line", OPTION_FLAG, &is_json, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = { "", "--json", NULL };
    const struct usage usage = {
        .arguments = "",
        .about = "List the models that this machine holds.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    return app_end(app, list(app, is_json, &err), &err);
}
