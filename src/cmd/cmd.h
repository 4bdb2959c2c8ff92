/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/cmd.h - what every subcommand is given, and the subcommands themselves.
 *
 * A subcommand reads its own options (cmd/options.h), does its work, writes
 * results on standard output and errors on standard error, and returns its
 * exit status.  To add one, see main.c.
 *
 * Threads  the main thread
 */
#ifndef POMONA_CMD_CMD_H
#define POMONA_CMD_CMD_H

#include <stdbool.h>

#include "base/paths.h"
#include "base/status.h"

enum exit_status {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,    /* the work could not be done */
    EXIT_WRONG_USE = 2, /* the command line made no sense */
};

struct app {
    const char *program; /* as the user called us, without folders */
    const char *command; /* the subcommand's name */
    const char *data;    /* --data; NULL: POMONA_DATA, else the platform's folder */
    const char *api;     /* --api; NULL: POMONA_API, else this machine's node */
    const char *api_key; /* POMONA_API_KEY: sent to that node; NULL: none */
    const char
        *api_ca; /* POMONA_API_CA: file of who signed its certificate; NULL: as libcurl has it */
    const char *hub_endpoint; /* HF_ENDPOINT; NULL: none given */
    const char *hub_token;    /* HF_TOKEN; NULL: none */
    bool out_is_terminal;     /* standard output */
    bool err_is_terminal;     /* standard error: where progress is shown */
    bool has_colour;          /* standard output takes colour: a terminal, and NO_COLOR unset */
    int columns;              /* of the terminal, 80 where there is none */
};

/* Learn what does not depend on options.  Everything is borrowed from argv and the environment. */
void app_init(struct app *app, const char *program);

/* The data folder in use: ret_path [PATH_MAX_BYTES].  Not created.
 * Errors  as path_data() */
enum status app_data_dir(const struct app *app, char *ret_path, struct err *err);

/* Base URL of the node that client commands talk to, as given. */
const char *app_api_url(const struct app *app);

/* Say "pomona COMMAND: words" on standard error; returns EXIT_FAILED. */
int app_fail(const struct app *app, const struct err *err);

/* The last line of a command: EXIT_FINE, or as app_fail(). */
int app_end(const struct app *app, enum status status, const struct err *err);

/* The same for wrong use, with a pointer to --help; returns EXIT_WRONG_USE. */
int app_wrong_use(const struct app *app, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* argv[0] is the subcommand's name. */
int cmd_bench(struct app *app, int argc, char **argv);
int cmd_chat(struct app *app, int argc, char **argv);
int cmd_doctor(struct app *app, int argc, char **argv);
int cmd_drain(struct app *app, int argc, char **argv);
int cmd_health(struct app *app, int argc, char **argv);
int cmd_import(struct app *app, int argc, char **argv);
int cmd_log_level(struct app *app, int argc, char **argv);
int cmd_keys(struct app *app, int argc, char **argv);
int cmd_measure(struct app *app, int argc, char **argv);
int cmd_mlx_config(struct app *app, int argc, char **argv);
int cmd_models(struct app *app, int argc, char **argv);
int cmd_monitor(struct app *app, int argc, char **argv);
int cmd_place(struct app *app, int argc, char **argv);
int cmd_plan(struct app *app, int argc, char **argv);
int cmd_pull(struct app *app, int argc, char **argv);
int cmd_run(struct app *app, int argc, char **argv);
int cmd_runner(struct app *app, int argc, char **argv);
int cmd_serve(struct app *app, int argc, char **argv);
int cmd_status(struct app *app, int argc, char **argv);
int cmd_undrain(struct app *app, int argc, char **argv);
int cmd_unplace(struct app *app, int argc, char **argv);
int cmd_version(struct app *app, int argc, char **argv);

#endif
