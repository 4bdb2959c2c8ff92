/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/version.c - `pomona version`. */
#include <stdio.h>

#include "cluster/cluster.h"
#include "cmd/cmd.h"
#include "cmd/options.h"

int cmd_version(struct app *app, int argc, char **argv)
{
    const struct usage usage = { .arguments = "", .about = "Show which Pomona this is." };
    const char *args[OPTIONS_ARGS_MAX];
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    printf("pomona %s%s\n", POMONA_VERSION, cluster_has_mdns() ? "" : " (without mdns)");
    return EXIT_FINE;
}
