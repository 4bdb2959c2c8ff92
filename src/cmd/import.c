/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/import.c - `pomona import`: check a model file and add it to the store. */
#include <stdio.h>

#include "base/size.h"
#include "cmd/options.h"
#include "cmd/progress.h"
#include "cmd/units.h"
#include "model/convert/convert.h"
#include "model/store/store.h"

static enum status import(struct app *app, const char *path, const char *name,
                          enum store_import_how how, struct store_entry *ret_entry, struct err *err)
{
    char data_dir[PATH_MAX_BYTES];
    struct progress progress;
    struct store store;
    enum status s;

    s = app_data_dir(app, data_dir, err);
    if (s == ST_OK)
        s = store_init(&store, data_dir, err);
    if (s != ST_OK)
        return s;
    if (convert_is_folder(path) && how == STORE_LINK)
        return err_set(err, ST_UNSUPPORTED,
                       "'%s' is a folder, which is converted and not used where it is: leave out "
                       "--link",
                       path);
    progress_begin(&progress, app, "copying");
    s = convert_is_folder(path)
            ? store_import_folder(&store, path, name, progress_bytes, &progress, ret_entry, err)
            : store_import(&store, path, name, how, progress_bytes, &progress, ret_entry, err);
    progress_end(&progress);
    return s;
}

int cmd_import(struct app *app, int argc, char **argv)
{
    const char *name = NULL;
    bool links = false;
    const struct option_row rows[] = {
        { "name", 0, "NAME", "name in the store (default the file's own)", OPTION_TEXT, &name, 0,
          0 },
        { "link", 0, NULL, "refer to the file where it is instead of copying it", OPTION_FLAG,
          &links, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "~/Downloads/SmolLM2-135M-Instruct.Q4_1.gguf --name smollm2",
        "/mnt/models/llama.gguf --link",
        "~/mlx-community/SmolLM2-135M-Instruct-4bit --name smollm2-4bit",
        NULL,
    };
    const struct usage usage = {
        .arguments = "FILE|FOLDER",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Check a GGUF file and add it to this machine's models. A folder of safetensors, as\n"
            "MLX and Hugging Face have models, is made such a file.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    char size[UNITS_MAX];
    struct store_entry entry;
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (import(app, args[0], name, links ? STORE_LINK : STORE_COPY, &entry, &err) != ST_OK)
        return app_fail(app, &err);
    printf("%s: %s, %u layers, %s\n", entry.info.name, entry.info.architecture, entry.info.n_layer,
           units_bytes(entry.info.file_bytes, size));
    return EXIT_FINE;
}
