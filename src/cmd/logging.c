/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/logging.c - how a process that stays logs. */
#include "cmd/logging.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static const char *const FORMAT_VARIABLE = "POMONA_LOG_FORMAT";
static const char *const LEVEL_VARIABLE = "POMONA_LOG_LEVEL";

static bool was_set, was_level_set; /* before this process said them for its runners */

/* NULL: not set. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

static enum status find_format(const char *name, enum log_format *ret, struct err *err)
{
    *ret = LOG_AUTO;
    if (!name || !name[0] || log_format_parse(name, ret) == ST_OK)
        return ST_OK;
    return err_set(err, ST_RANGE,
                   "there is no log format '%.32s': it is auto, logfmt, json, pretty or journal",
                   name);
}

/* What a runner logs until its node has told it more. */
static void say_level(void)
{
    struct log_levels levels;
    char text[LOG_LEVELS_TEXT_MAX];

    was_level_set = variable(LEVEL_VARIABLE) != NULL;
    if (was_level_set)
        return;
    log_levels_now(&levels);
    log_levels_text(&levels, text);
    (void)setenv(LEVEL_VARIABLE, text, 1);
}

enum status logging_begin(struct logging *l, const char *of_file_level, const char *of_file_format,
                          struct err *err)
{
    struct log_levels levels;
    enum log_format format;
    enum status s;

    if (!l->level)
        l->level = variable(LEVEL_VARIABLE);
    if (!l->level && l->is_dev)
        l->level = "debug";
    if (!l->format)
        l->format = variable(FORMAT_VARIABLE);
    if (!l->format && l->is_dev)
        l->format = "pretty";
    s = l->level ? log_levels_parse(l->level, &levels, err) : ST_OK;
    if (s == ST_OK)
        s = find_format(l->format ? l->format : of_file_format, &format, err);
    if (s != ST_OK)
        return s;
    log_levels_choose(l->level, of_file_level);
    log_use_format(format);
    was_set = variable(FORMAT_VARIABLE) != NULL;
    if (!was_set || l->format != variable(FORMAT_VARIABLE)) /* an option is given again */
        (void)setenv(FORMAT_VARIABLE, log_format_name(format), 1);
    say_level();
    return ST_OK;
}

void logging_end(void)
{
    if (!was_set)
        (void)unsetenv(FORMAT_VARIABLE);
    if (!was_level_set)
        (void)unsetenv(LEVEL_VARIABLE);
}

void logging_of_environment(void)
{
    const char *level = variable(LEVEL_VARIABLE), *name = variable(FORMAT_VARIABLE);
    enum log_format format;

    log_levels_choose(level, NULL);
    log_use_format(find_format(name, &format, NULL) == ST_OK ? format : LOG_AUTO);
}
