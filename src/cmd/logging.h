/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/logging.h - how a process that stays logs: options, environment, a file, in this order.
 *
 * Runners have their node's environment: POMONA_LOG_FORMAT is set for them, POMONA_NODE names it.
 * The node tells them its levels while they run.
 */
#ifndef POMONA_CMD_LOGGING_H
#define POMONA_CMD_LOGGING_H

#include <stdbool.h>

#include "base/status.h"

struct logging {
    const char *level, *format; /* of the options; NULL: not given */
    bool is_dev;                /* where neither options nor environment say: all, for people */
};

/* clang-format off */
#define OPTION_LOG_LEVEL(l) { "log-level", 0, "LEVELS", "debug, info, warn, error, and COMPONENT=LEVEL after commas (POMONA_LOG_LEVEL)", OPTION_TEXT, &(l)->level, 0, 0 }
#define OPTION_LOG_FORMAT(l) { "log-format", 0, "FORMAT", "auto, logfmt, json, pretty or journal (POMONA_LOG_FORMAT)", OPTION_TEXT, &(l)->format, 0, 0 }
/* clang-format on */

/* Fills in what was not given, and logs so from now on.  Before the process has threads.
 * of_file_*  checked; NULL or "": not said
 * Errors     ST_RANGE, with what there is */
enum status logging_begin(struct logging *logging, const char *of_file_level,
                          const char *of_file_format, struct err *err);

/* The environment is what it was, for a process that begins anew in this one's place. */
void logging_end(void);

/* Of a runner: as its environment says, which its node checked. */
void logging_of_environment(void);

#endif
