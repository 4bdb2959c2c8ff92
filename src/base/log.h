/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h - one line per event, on stderr.
 *
 * On a terminal: time, level and message, in colour.  Elsewhere logfmt
 * (`ts=... level=info src=cluster msg="..."`), which journald and Loki parse.
 * Prompts, completions, keys and tokens never reach a log: pass ids instead.
 * Only cmd/, flow/ and the long-running loops of cluster/ and execute/ log.
 *
 * Threads  any; a line is written with one write(2)
 */
#ifndef POMONA_BASE_LOG_H
#define POMONA_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* `name`: debug, info, warn or error.  ST_RANGE for another word. */
enum status log_level_parse(const char *name, enum log_level *ret_level);

/* Lines below `level` are dropped.  Default LOG_INFO.  Any time, any thread. */
void log_set_level(enum log_level level);

/* Who speaks, set once at start and shown on every line: "node studio-1",
 * "runner 2".  Copied, at most 63 bytes. */
void log_set_source(const char *source);

/* Lines are for people from now on, wherever they go. */
void log_set_for_people(void);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct log_event {
    enum log_level level;
    struct timespec when;
    const char *source, *words;
    bool is_on_terminal;
};

/* The line as it is written, its end included: how many bytes.  What is in it of other machines'
 * words changes neither a terminal nor the fields of logfmt.
 * capacity  at least 128; a longer line is cut */
size_t log_format(char *line, size_t capacity, const struct log_event *event);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
