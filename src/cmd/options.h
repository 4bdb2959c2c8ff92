/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/options.h - one table describes a subcommand's options, its help and its bounds.
 *
 * `--name VALUE`, `--name=VALUE`, `-n VALUE` and `-nVALUE` are understood,
 * anywhere among the arguments; after `--` everything is an argument.
 * `--help` is always there.  What the table does not allow is refused with
 * one sentence and exit status 2, before the subcommand does anything.
 *
 *     uint32_t n = 16;
 *     const struct option_row rows[] = {
 *         { "tokens", 'n', "N", "how many (default 16)", OPTION_U32, &n, 1, 4096 },
 *         OPTION_DATA(app),
 *     };
 *     const struct usage usage = { .arguments = "MODEL", .min_args = 1, .max_args = 1, ... };
 *     if (!options_parse(app, &usage, argc, argv, args, &exit_status))
 *         return exit_status;
 */
#ifndef POMONA_CMD_OPTIONS_H
#define POMONA_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "cmd/cmd.h"

enum option_kind {
    OPTION_FLAG, /* bool, set to true; takes no value */
    OPTION_TEXT, /* const char *, borrowed from argv; may not be empty */
    OPTION_U32,  /* uint32_t within min..max */
    OPTION_U64,  /* uint64_t up to INT64_MAX, the largest that JSON carries everywhere */
    OPTION_REAL, /* double within min..max */
};

struct option_row {
    const char *name;  /* without its dashes */
    char letter;       /* 0: none */
    const char *value; /* "N", shown in the help; NULL for a flag */
    const char *help;
    enum option_kind kind;
    void *target;    /* of the type that `kind` says; keeps its value where not given */
    double min, max; /* for OPTION_U32 and OPTION_REAL, inclusive */
};

/* Options that several subcommands share. */
#define OPTION_DATA(app)                                                                           \
    {                                                                                              \
        "data", 0, "DIR", "folder of models and node state (POMONA_DATA)", OPTION_TEXT,            \
            &(app)->data, 0, 0                                                                     \
    }
#define OPTION_API(app)                                                                            \
    {                                                                                              \
        "api", 0, "URL", "node to talk to (POMONA_API; default http://127.0.0.1:52415)",           \
            OPTION_TEXT, &(app)->api, 0, 0                                                         \
    }

enum { OPTIONS_ARGS_MAX = 8 };

struct usage {
    const char *arguments;         /* "MODEL PROMPT"; "" for none */
    size_t min_args, max_args;     /* at most OPTIONS_ARGS_MAX */
    const char *about;             /* what it does: sentences, lines of at most 78 bytes */
    const struct option_row *rows; /* [n_rows] */
    size_t n_rows;
    const char *const *examples; /* NULL-terminated, without the program's name; may be NULL */
};

/* Read argv[1..] into the rows' targets and the arguments.
 *
 * ret_args         [OPTIONS_ARGS_MAX], borrowed from argv; NULL beyond those given
 * ret_exit_status  set where false is returned: --help was shown, or the use was wrong
 * Returns          true: go on */
bool options_parse(const struct app *app, const struct usage *usage, int argc, char **argv,
                   const char **ret_args, int *ret_exit_status);

#endif
