/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_event.h - one event, and the ways to write it.
 *
 *   logfmt   ts=2026-01-02T03:04:05.678Z level=info component=flow node=a msg="request answered" request_id=req_1
 *   json     {"ts":"...","level":"info","component":"flow","node":"a","msg":"...","request_id":"req_1"}
 *   pretty   03:04:05 info  flow: request answered request_id=req_1
 *   journal  MESSAGE=request answered request_id=req_1, PRIORITY=6, POMONA_REQUEST_ID=req_1, ...
 *
 * What other machines said is among the values.  So whatever they hold, a line stays one line, its
 * fields stay those that were given, it is UTF-8, no terminal obeys it, and it has a bound: long values
 * are cut and end in "...", and fields that find no room are left out, which `cut=true` says.
 *
 * Source   https://brandur.org/logfmt, RFC 8259, https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
 * Threads  any; no allocation
 */
#ifndef POMONA_BASE_LOG_EVENT_H
#define POMONA_BASE_LOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/log_level.h"

enum log_format { LOG_AUTO, LOG_LOGFMT, LOG_JSON, LOG_PRETTY, LOG_JOURNAL };

enum log_kind { LOG_KIND_TEXT, LOG_KIND_COUNT, LOG_KIND_NUMBER, LOG_KIND_REAL };

/* key  [a-z0-9_]+, a word of the program's and never of outside */
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        const char *text; /* borrowed; NULL: the field is left out */
        uint64_t count;
        int64_t number;
        double real;
    } value;
};

struct log_event {
    struct timespec when;
    enum log_level level;
    enum log_component component;
    const char *message;
    const struct log_field *common,
        *fields; /* [n_common] of the process, [n_fields] of the event */
    size_t n_common, n_fields;
    bool is_coloured; /* of pretty: for a terminal */
};

enum {
    LOG_LINE_MIN = 512,         /* that a line needs at least */
    LOG_LINE_MAX = 4096,        /* that one is given */
    LOG_VALUE_MAX_BYTES = 1024, /* of a value or message, cut beyond */
};

/* The bytes that are written, the line's end included; no NUL.  For LOG_JOURNAL a datagram.
 * format    not LOG_AUTO
 * capacity  at least LOG_LINE_MIN
 * Returns   how many, at most `capacity` */
size_t log_render(enum log_format format, const struct log_event *event, char *line,
                  size_t capacity);

/* "auto", "logfmt", "json", "pretty", "journal".  ST_RANGE for another word. */
enum status log_format_parse(const char *name, enum log_format *ret_format);
const char *log_format_name(enum log_format format);

#endif
