/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/pull.c - `pomona pull`: fetch a model from a hub and add it to the store. */
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "cmd/options.h"
#include "cmd/progress.h"
#include "cmd/units.h"
#include "model/store/hub.h"
#include "model/store/pull.h"

/* An empty variable is as good as none. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

static enum status pull(struct app *app, const char *what, const char *name,
                        struct pull_result *ret_result, struct err *err)
{
    struct progress progress;
    const struct pull_options options = {
        .what = what,
        .name = name,
        .endpoint = variable("HF_ENDPOINT"),
        .token = variable("HF_TOKEN"),
        .on_progress = progress_bytes,
        .arg = &progress,
    };
    char data_dir[PATH_MAX_BYTES];
    struct store store;
    enum status s;

    s = app_data_dir(app, data_dir, err);
    if (s == ST_OK)
        s = store_init(&store, data_dir, err);
    if (s != ST_OK)
        return s;
    progress_begin(&progress, app, "fetching");
    s = store_pull(&store, &options, ret_result, err);
    progress_end(&progress);
    return s;
}

int cmd_pull(struct app *app, int argc, char **argv)
{
    const char *name = NULL;
    const struct option_row rows[] = {
        { "name", 0, "NAME", "name in the store (default the file's own)", OPTION_TEXT, &name, 0,
          0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "unsloth/SmolLM2-135M-Instruct-GGUF:Q4_0 --name smollm2",
        "bartowski/Llama-3.2-1B-Instruct-GGUF:Llama-3.2-1B-Instruct-Q8_0.gguf",
        "https://example.org/models/llama.gguf",
        NULL,
    };
    const struct usage usage = {
        .arguments = "WHAT",
        .min_args = 1,
        .max_args = 1,
        .about = "Fetch a GGUF file and add it to this machine's models. WHAT is a URL, or\n"
                 "OWNER/NAME:FILE of a hub; letters of the file's name that no other has will do.\n"
                 "What was broken off goes on where it was.\n"
                 "HF_ENDPOINT names another hub than " HUB_ENDPOINT ", HF_TOKEN shows who asks.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct pull_result result;
    char size[UNITS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (pull(app, args[0], name, &result, &err) != ST_OK)
        return app_fail(app, &err);
    printf("%s: %s, %u layers, %s; %s\n", result.entry.info.name, result.entry.info.architecture,
           result.entry.info.n_layer, units_bytes(result.entry.info.file_bytes, size),
           result.is_hashed ? "its SHA-256 is the hub's"
                            : "the server names no SHA-256, so only its size was checked");
    return EXIT_FINE;
}
