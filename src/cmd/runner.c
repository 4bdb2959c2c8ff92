/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/runner.c - `pomona runner`: hold one shard; started by a node, not by people. */
#include <signal.h>
#include <stdint.h>

#include "base/log.h"
#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "execute/runner.h"

int cmd_runner(struct app *app, int argc, char **argv)
{
    uint32_t control_fd = UINT32_MAX;
    const struct option_row rows[] = {
        { "control-fd", 0, "N", "socket of the node that started this", OPTION_U32, &control_fd, 0,
          65535 },
    };
    const struct usage usage = {
        .arguments = "",
        .about = "Hold one shard of a model. Nodes start this; it is of no use at a prompt.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (control_fd == UINT32_MAX)
        return app_wrong_use(app, "--control-fd is missing");
    log_set_source("runner");
    (void)signal(SIGPIPE, SIG_IGN);
    if (runner_main((int)control_fd, &err) != ST_OK)
        return app_fail(app, &err);
    return EXIT_FINE;
}
