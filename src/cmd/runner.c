/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/runner.c - `pomona runner`: hold one shard; started by a node, not by people. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/run_folder.h"
#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/logging.h"
#include "cmd/options.h"
#include "execute/runner.h"

enum { NODE_WITHIN_MS = 30000, SOCKET_NAME_MAX = 128 };

/* The node awaits the rank that mpirun made this process, of that instance.
 * Source: mpirun(1) of Open MPI 4.1, "Exported Environment Variables" */
static enum status find_node(const char *instance, int *ret_fd, struct err *err)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    char name[SOCKET_NAME_MAX];

    if (!rank)
        return err_set(err, ST_RANGE, "--instance is for runners that Open MPI's mpirun starts");
    if ((size_t)snprintf(name, sizeof(name), "%s.%s", instance, rank) >= sizeof(name))
        return err_set(err, ST_RANGE, "the name of an instance is too long");
    return run_connect(name, deadline_after_ms(NODE_WITHIN_MS), ret_fd, err);
}

int cmd_runner(struct app *app, int argc, char **argv)
{
    uint32_t control_fd = UINT32_MAX;
    const char *instance = NULL;
    const struct option_row rows[] = {
        { "control-fd", 0, "N", "socket of the node that started this", OPTION_U32, &control_fd, 0,
          65535 },
        { "instance", 0, "ID", "that this, started by mpirun, is a rank of", OPTION_TEXT, &instance,
          0, 0 },
    };
    const struct usage usage = {
        .arguments = "",
        .about = "Hold one shard of a model. Nodes start this; it is of no use at a prompt.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status, fd;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (control_fd == UINT32_MAX && !instance)
        return app_wrong_use(app, "--control-fd is missing");
    logging_of_environment();
    fd = (int)control_fd;
    if (instance && find_node(instance, &fd, &err) != ST_OK)
        return app_fail(app, &err);
    (void)signal(SIGPIPE, SIG_IGN);
    if (runner_main(fd, &err) != ST_OK)
        return app_fail(app, &err);
    return EXIT_FINE;
}
