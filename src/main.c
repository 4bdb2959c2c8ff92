/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the table of contents of the program.
 *
 * To add a subcommand: write src/cmd/<name>.c, declare cmd_<name>() in
 * cmd/cmd.h, add one row here.  `pomona help` is made from this table and
 * `pomona <name> --help` from the command's own option table, so neither can
 * disagree with what the program does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_file.h"
#include "base/size.h"
#include "cmd/cmd.h"

struct command {
    const char *name;
    int (*run)(struct app *app, int argc, char **argv); /* exit status */
    const char *summary; /* NULL: not for people, left out of the help */
};

static const struct command commands[] = {
    { "serve", cmd_serve, "run a node: answer the API, hold shards of models" },
    { "run", cmd_run, "answer one prompt on this machine" },
    { "chat", cmd_chat, "talk to a model on this machine" },
    { "bench", cmd_bench, "measure tokens per second on this machine" },
    { "models", cmd_models, "list the models that this machine holds" },
    { "import", cmd_import, "add a model file to this machine's models" },
    { "pull", cmd_pull, "fetch a model from a hub and add it" },
    { "status", cmd_status, "show the cluster: nodes, models, instances" },
    { "place", cmd_place, "load a model over the nodes of a cluster" },
    { "unplace", cmd_unplace, "end a model's instances and free their memory" },
    { "drain", cmd_drain, "move what a node holds to the others" },
    { "undrain", cmd_undrain, "let a drained node take part again" },
    { "monitor", cmd_monitor,
      "watch a cluster: record, tell of changes, replace what stands still" },
    { "health", cmd_health, "show what the monitor finds, and how available all was" },
    { "log-level", cmd_log_level, "show or change what a node logs, while it runs" },
    { "plan", cmd_plan, "show every way to run a model, and what each would be like" },
    { "measure", cmd_measure, "measure how fast this machine computes, for plans" },
    { "mlx-config", cmd_mlx_config, "write and check the host files of distributed MLX" },
    { "keys", cmd_keys, "make the key that the nodes of a cluster share" },
    { "doctor", cmd_doctor, "check this machine: is anything missing?" },
    { "version", cmd_version, "show which Pomona this is" },
    { "runner", cmd_runner, NULL },
};

static int help(FILE *to, const char *program, int exit_status)
{
    fprintf(to, "usage: %s <command> [options]\n\n", program);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].summary)
            fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "  %-10s %s\n\n", "help", "show this, or the help of a command");
    fprintf(to, "'%s <command> --help' lists a command's options.\n", program);
    return exit_status;
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int no_command(const struct app *app, const char *name)
{
    fprintf(stderr, "%s: there is no command '%s'; try '%s help'\n", app->program, name,
            app->program);
    return EXIT_WRONG_USE;
}

static int run(struct app *app, const struct command *command, int argc, char **argv)
{
    int exit_status;

    app->command = command->name;
    exit_status = command->run(app, argc, argv);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_status;
    fprintf(stderr, "%s %s: standard output could not be written\n", app->program, command->name);
    return EXIT_FAILED;
}

/* `pomona help run` is `pomona run --help`. */
static int help_of(struct app *app, char *name)
{
    const struct command *command = command_find(name);
    char option[] = "--help";
    char *argv[] = { name, option, NULL };

    return command ? run(app, command, 2, argv) : no_command(app, name);
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* POMONA_LOG_FILE: for who starts the program and reads nothing that it says. */
static bool begin_log(const char *program)
{
    const char *path = getenv("POMONA_LOG_FILE");
    struct err err = { 0 };

    if (!path || !path[0] || log_file_begin(path, &err) == ST_OK)
        return true;
    fprintf(stderr, "%s: %s\n", program, err.words);
    return false;
}

int main(int argc, char **argv)
{
    const struct command *command;
    struct app app;

    app_init(&app, argc > 0 ? argv[0] : NULL);
    if (argc < 2)
        return help(stderr, app.program, EXIT_WRONG_USE);
    if (is_help(argv[1]))
        return argc > 2 ? help_of(&app, argv[2]) : help(stdout, app.program, EXIT_FINE);
    if (strcmp(argv[1], "--version") == 0)
        argv[1] += 2;
    if (!begin_log(app.program))
        return EXIT_FAILED;
    command = command_find(argv[1]);
    return command ? run(&app, command, argc - 1, argv + 1) : no_command(&app, argv[1]);
}
