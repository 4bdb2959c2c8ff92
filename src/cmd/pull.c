/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/pull.c - `pomona pull`: fetch a model from a hub and add it to the store. */
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/size.h"
#include "cmd/options.h"
#include "cmd/progress.h"
#include "cmd/units.h"
#include "model/store/hub.h"
#include "model/store/pull.h"

enum { TELL_EVERY_MS = 500 };

/* With --json: a line of what progress_bytes() shows to people, now and then. */
struct json_progress {
    uint64_t start_ns, tell_at_ns;
    uint64_t first_bytes; /* that were here before */
};

static void print_line(json_t *object)
{
    if (!object)
        return;
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    (void)putchar('\n');
    (void)fflush(stdout);
    json_decref(object);
}

static void progress_json(void *arg, uint64_t done, uint64_t total)
{
    struct json_progress *p = arg;
    const uint64_t now_ns = clock_ns();
    double bytes_per_s, seconds_left;

    if (p->start_ns == 0) {
        p->start_ns = now_ns;
        p->first_bytes = done;
    }
    if (now_ns < p->tell_at_ns || now_ns == p->start_ns)
        return;
    p->tell_at_ns = deadline_after_ms(TELL_EVERY_MS);
    bytes_per_s =
        (double)(done - p->first_bytes) * (double)NS_PER_S / (double)(now_ns - p->start_ns);
    seconds_left = total > done && bytes_per_s > 0 ? (double)(total - done) / bytes_per_s : 0;
    print_line(json_pack("{s:I, s:I, s:f, s:f}", "done_bytes", (json_int_t)done, "total_bytes",
                         (json_int_t)total, "bytes_per_s", bytes_per_s, "seconds_left",
                         seconds_left));
}

static enum status pull(struct app *app, struct pull_options *options, bool is_json,
                        struct pull_result *ret_result, struct err *err)
{
    struct json_progress json = { 0 };
    char data_dir[PATH_MAX_BYTES];
    struct progress progress;
    struct store store;
    enum status s;

    s = app_data_dir(app, data_dir, err);
    if (s == ST_OK)
        s = store_init(&store, data_dir, err);
    if (s != ST_OK)
        return s;
    options->on_progress = is_json ? progress_json : progress_bytes;
    options->arg = is_json ? (void *)&json : (void *)&progress;
    progress_begin(&progress, app, "fetching");
    s = store_pull(&store, options, ret_result, err);
    progress_end(&progress);
    return s;
}

static void print_result(const struct pull_result *result)
{
    const struct model_info *info = &result->entry.info;
    char size[UNITS_MAX];

    printf("%s: %s, %u layers, %s; %s\n", info->name, info->architecture, info->n_layer,
           units_bytes(info->file_bytes, size),
           result->is_hashed ? "its SHA-256 is the hub's"
                             : "the server names no SHA-256, so only its size was checked");
}

static void print_json_result(const struct pull_result *result)
{
    const struct model_info *info = &result->entry.info;

    print_line(json_pack("{s:s, s:s, s:i, s:I, s:I, s:b, s:s, s:s}", "name", info->name,
                         "architecture", info->architecture, "n_layer", (int)info->n_layer,
                         "file_bytes", (json_int_t)info->file_bytes, "resumed_bytes",
                         (json_int_t)result->resumed_bytes, "is_hashed", result->is_hashed, "path",
                         result->entry.path, "origin", info->origin));
}

int cmd_pull(struct app *app, int argc, char **argv)
{
    struct pull_options pulled = { .endpoint = app->hub_endpoint, .token = app->hub_token };
    bool is_json = false;
    const struct option_row rows[] = {
        { "name", 0, "NAME", "name in the store (default the file's own)", OPTION_TEXT,
          &pulled.name, 0, 0 },
        { "hub", 0, "URL", "another hub than " HUB_ENDPOINT " (HF_ENDPOINT)", OPTION_TEXT,
          &pulled.endpoint, 0, 0 },
        { "json", 0, NULL, "progress and result as JSON objects, one a line", OPTION_FLAG, &is_json,
          0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "unsloth/SmolLM2-135M-Instruct-GGUF:Q4_0 --name smollm2",
        "bartowski/Llama-3.2-1B-Instruct-GGUF:Llama-3.2-1B-Instruct-Q8_0.gguf@main",
        "https://example.org/models/llama.gguf",
        NULL,
    };
    const struct usage usage = {
        .arguments = "WHAT",
        .min_args = 1,
        .max_args = 1,
        .about =
            "Fetch a GGUF file and add it to this machine's models. WHAT is a URL, or\n"
            "OWNER/NAME:FILE of a hub, @REVISION after it; letters of the file's name that no\n"
            "other has will do. What was broken off goes on where it was.\n"
            "HF_TOKEN shows who asks, HTTPS_PROXY names a proxy.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct pull_result result;
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    pulled.what = args[0];
    if (pull(app, &pulled, is_json, &result, &err) != ST_OK)
        return app_fail(app, &err);
    if (is_json)
        print_json_result(&result);
    else
        print_result(&result);
    return EXIT_FINE;
}
