/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/app.c - facts about how the program was called.
 *
 * Options win over the environment, which wins over the defaults.
 */
#include "cmd/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80, COLUMNS_MIN = 20 };

static const char *const api_default = "http://127.0.0.1:52415";

static int terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < COLUMNS_MIN)
        return COLUMNS_DEFAULT;
    return size.ws_col;
}

/* An empty variable counts as unset. */
static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

void app_init(struct app *app, const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL;

    *app = (struct app){
        .program = slash     ? slash + 1
                   : program ? program
                             : "pomona",
        .out_is_terminal = isatty(STDOUT_FILENO) != 0,
        .err_is_terminal = isatty(STDERR_FILENO) != 0,
        .columns = terminal_columns(),
        .api_key = environment("POMONA_API_KEY"),
        .api_ca = environment("POMONA_API_CA"),
        .hub_endpoint = environment("HF_ENDPOINT"),
        .hub_token = environment("HF_TOKEN"),
    };
    app->has_colour = app->out_is_terminal && !environment("NO_COLOR");
}

enum status app_data_dir(const struct app *app, char *ret_path, struct err *err)
{
    return path_data(app->data ? app->data : environment("POMONA_DATA"), ret_path, err);
}

const char *app_api_url(const struct app *app)
{
    const char *api = app->api ? app->api : environment("POMONA_API");

    return api ? api : api_default;
}

int app_fail(const struct app *app, const struct err *err)
{
    (void)fflush(stdout);
    fprintf(stderr, "%s %s: %s\n", app->program, app->command,
            err->words[0] ? err->words : status_words(err->status));
    return EXIT_FAILED;
}

int app_end(const struct app *app, enum status status, const struct err *err)
{
    return status == ST_OK ? EXIT_FINE : app_fail(app, err);
}

int app_wrong_use(const struct app *app, const char *fmt, ...)
{
    va_list args;

    (void)fflush(stdout);
    fprintf(stderr, "%s %s: ", app->program, app->command);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "; try '%s %s --help'\n", app->program, app->command);
    return EXIT_WRONG_USE;
}
