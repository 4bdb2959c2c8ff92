/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.h - one structured line per event.
 *
 *   log_with(LOG_INFO, "request answered", log_text("request_id", id), log_count("tokens", n));
 *   log_warn("peers cannot fetch models from this node: %s", err.words);
 *
 * An event has a level, the component that tells it (the folder of src/), a message and fields.  What
 * it is about goes into fields, so that the message is the same each time: names are request_id,
 * instance, node, peer, model, upstream, error.  Every line about a request has its request_id.
 *
 * It goes to the journal with real fields, where standard error is the journal; in colour to a
 * terminal; as logfmt to all else, for which launchd, Docker and POMONA_LOG_FILE are examples.
 * `--log-format` and POMONA_LOG_FORMAT say another, `--log-level` and POMONA_LOG_LEVEL from which level
 * on (base/log_level.h); docs/logs.md is for users.
 *
 * A line that comes again and again is left out: of equal ones twenty in ten seconds are told, and how
 * many were not (base/log_repeat.h).
 *
 * Prompts, completions, keys and tokens never reach a log: pass ids and counts instead.  Arguments are
 * not evaluated where the level is off.  Nothing is logged for a token or a step.
 *
 * Threads  any; a line is one write(2) or one datagram.  No allocation.
 */
#ifndef POMONA_BASE_LOG_H
#define POMONA_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/log_event.h"
#include "base/log_level.h"
#include "base/status.h"

/* Given by cmake/module.cmake to the files of a folder. */
#ifndef LOG_COMPONENT
#define LOG_COMPONENT LOG_IN_MAIN
#endif

/* How lines are written from now on; once, at the start of a process, before it has threads.
 * LOG_AUTO, as without a call: the journal, else pretty on a terminal, else logfmt. */
void log_use_format(enum log_format format);

/* Fields of every line of this process, copied: at most 4, texts of at most 63 bytes.
 * keys  literals: lent for ever */
void log_set_common(const struct log_field *fields, size_t n);

void log_write(enum log_level level, enum log_component component, const char *message,
               const struct log_field *fields, size_t n_fields);
void log_words(enum log_level level, enum log_component component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_FIELDS(...)                                                                            \
    (const struct log_field[]){ __VA_ARGS__ },                                                     \
        sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field)

#define log_of(component, level, message, ...)                                                     \
    (log_is_on((level), (component))                                                               \
         ? log_write((level), (component), (message), LOG_FIELDS(__VA_ARGS__))                     \
         : (void)0)
#define log_with(level, message, ...) log_of(LOG_COMPONENT, level, message, __VA_ARGS__)

#define log_line(level, ...)                                                                       \
    (log_is_on((level), LOG_COMPONENT) ? log_words((level), LOG_COMPONENT, __VA_ARGS__) : (void)0)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){ key, LOG_KIND_TEXT, { .text = text } };
}

static inline struct log_field log_count(const char *key, uint64_t count)
{
    return (struct log_field){ key, LOG_KIND_COUNT, { .count = count } };
}

static inline struct log_field log_number(const char *key, int64_t number)
{
    return (struct log_field){ key, LOG_KIND_NUMBER, { .number = number } };
}

static inline struct log_field log_real(const char *key, double real)
{
    return (struct log_field){ key, LOG_KIND_REAL, { .real = real } };
}

#endif
