/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_render.c - one event as logfmt, JSON, words for people, or a journal's datagram.
 *
 * A field is put as a whole or taken back, so that a cut line is still well-formed.  Of the message as
 * much is put as there is room for.
 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log_event.h"
#include "base/log_out.h"
#include "base/size.h"

enum { NUMBER_MAX = 32, STAMP_MAX = 64, KEY_MAX = 64 };

static const char *const format_names[] = {
    [LOG_AUTO] = "auto",     [LOG_LOGFMT] = "logfmt",   [LOG_JSON] = "json",
    [LOG_PRETTY] = "pretty", [LOG_JOURNAL] = "journal",
};

/* ANSI, SGR parameters */
static const char *const colours[] = {
    [LOG_DEBUG] = "2",
    [LOG_INFO] = "0",
    [LOG_WARN] = "33",
    [LOG_ERROR] = "31",
};

/* syslog(3) */
static const char *const priorities[] = {
    [LOG_DEBUG] = "PRIORITY=7\n",
    [LOG_INFO] = "PRIORITY=6\n",
    [LOG_WARN] = "PRIORITY=4\n",
    [LOG_ERROR] = "PRIORITY=3\n",
};

const char *log_format_name(enum log_format format)
{
    return format_names[format];
}

enum status log_format_parse(const char *name, enum log_format *ret_format)
{
    for (size_t i = 0; i < ARRAY_LEN(format_names); i++) {
        if (strcmp(format_names[i], name) == 0) {
            *ret_format = (enum log_format)i;
            return ST_OK;
        }
    }
    return ST_RANGE;
}

/* "2026-01-02T03:04:05.678Z": ret [STAMP_MAX] */
static void stamp_of(const struct timespec *when, char *ret)
{
    struct tm utc = { 0 };

    (void)gmtime_r(&when->tv_sec, &utc);
    (void)snprintf(ret, STAMP_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900,
                   utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                   when->tv_nsec / 1000000);
}

/* ret [NUMBER_MAX] */
static void number_of(const struct log_field *field, char *ret)
{
    if (field->kind == LOG_KIND_COUNT)
        (void)snprintf(ret, NUMBER_MAX, "%" PRIu64, field->value.count);
    else if (field->kind == LOG_KIND_NUMBER)
        (void)snprintf(ret, NUMBER_MAX, "%" PRId64, field->value.number);
    else
        (void)snprintf(ret, NUMBER_MAX, "%.6g", field->value.real);
}

/* What needs no quotes in logfmt. */
static bool is_word(const char *text)
{
    const size_t n = strnlen(text, LOG_VALUE_MAX_BYTES + 1);

    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-/:@+,%#~[]()*", text[i]))
            return false;
    return n > 0;
}

static void quoted(struct log_out *out, const char *text)
{
    log_out_put(out, "\"");
    log_out_text(out, LOG_STYLE_QUOTED, text, LOG_VALUE_MAX_BYTES);
    log_out_put(out, "\"");
}

static void logfmt_value(struct log_out *out, const struct log_field *field)
{
    char number[NUMBER_MAX];

    if (field->kind != LOG_KIND_TEXT) {
        number_of(field, number);
        log_out_put(out, number);
    } else if (is_word(field->value.text)) {
        log_out_text(out, LOG_STYLE_PLAIN, field->value.text, LOG_VALUE_MAX_BYTES);
    } else {
        quoted(out, field->value.text);
    }
}

/* " key=value" */
static void logfmt_field(struct log_out *out, const struct log_field *field)
{
    log_out_put(out, " ");
    log_out_put(out, field->key);
    log_out_put(out, "=");
    logfmt_value(out, field);
}

/* ",\"key\":value" */
static void json_field(struct log_out *out, const struct log_field *field)
{
    char number[NUMBER_MAX];

    log_out_put(out, ",\"");
    log_out_put(out, field->key);
    log_out_put(out, "\":");
    if (field->kind == LOG_KIND_TEXT) {
        quoted(out, field->value.text);
    } else if (field->kind == LOG_KIND_REAL && !isfinite(field->value.real)) {
        log_out_put(out, "null");
    } else {
        number_of(field, number);
        log_out_put(out, number);
    }
}

/* "POMONA_KEY=value\n": control characters are blanks, so the value is one line, as this form needs. */
static void journal_field(struct log_out *out, const struct log_field *field)
{
    char key[KEY_MAX], number[NUMBER_MAX];
    const char *prefix = "POMONA_";
    size_t n = strlen(prefix);

    memcpy(key, prefix, n);
    for (const char *c = field->key; *c && n + 1 < sizeof(key); c++)
        key[n++] = (char)toupper((unsigned char)*c);
    log_out_bytes(out, key, n);
    log_out_put(out, "=");
    if (field->kind == LOG_KIND_TEXT) {
        log_out_text(out, LOG_STYLE_PLAIN, field->value.text, LOG_VALUE_MAX_BYTES);
    } else {
        number_of(field, number);
        log_out_put(out, number);
    }
    log_out_put(out, "\n");
}

typedef void field_fn(struct log_out *out, const struct log_field *field);

/* Whether one was left out for want of room. */
static bool put_fields(struct log_out *out, field_fn *put, const struct log_field *fields, size_t n)
{
    bool is_cut = false;

    for (size_t i = 0; i < n; i++) {
        const size_t before = out->used;

        if (fields[i].kind == LOG_KIND_TEXT && !fields[i].value.text)
            continue;
        put(out, &fields[i]);
        if (!out->is_full)
            continue;
        out->used = before;
        out->is_full = false;
        is_cut = true;
    }
    return is_cut;
}

static void logfmt_line(const struct log_event *e, struct log_out *out)
{
    char stamp[STAMP_MAX];
    bool is_cut;

    stamp_of(&e->when, stamp);
    log_out_put(out, "ts=");
    log_out_put(out, stamp);
    log_out_put(out, " level=");
    log_out_put(out, log_level_name(e->level));
    log_out_put(out, " component=");
    log_out_put(out, log_component_name(e->component));
    is_cut = put_fields(out, logfmt_field, e->common, e->n_common);
    log_out_put(out, " msg=");
    quoted(out, e->message);
    if (out->is_full) {
        log_out_end(out, "\"");
        is_cut = true;
        out->is_full = false;
    }
    is_cut |= put_fields(out, logfmt_field, e->fields, e->n_fields);
    log_out_end(out, is_cut ? " cut=true\n" : "\n");
}

static void json_line(const struct log_event *e, struct log_out *out)
{
    char stamp[STAMP_MAX];
    bool is_cut;

    stamp_of(&e->when, stamp);
    log_out_put(out, "{\"ts\":\"");
    log_out_put(out, stamp);
    log_out_put(out, "\",\"level\":\"");
    log_out_put(out, log_level_name(e->level));
    log_out_put(out, "\",\"component\":\"");
    log_out_put(out, log_component_name(e->component));
    log_out_put(out, "\"");
    is_cut = put_fields(out, json_field, e->common, e->n_common);
    log_out_put(out, ",\"msg\":");
    quoted(out, e->message);
    if (out->is_full) {
        log_out_end(out, "\"");
        is_cut = true;
        out->is_full = false;
    }
    is_cut |= put_fields(out, json_field, e->fields, e->n_fields);
    log_out_end(out, is_cut ? ",\"cut\":true}\n" : "}\n");
}

/* The message and the fields of the event: what people read. */
static void put_words(const struct log_event *e, struct log_out *out)
{
    log_out_text(out, LOG_STYLE_PLAIN, e->message, LOG_VALUE_MAX_BYTES);
    out->is_full = false;
    if (put_fields(out, logfmt_field, e->fields, e->n_fields))
        log_out_end(out, " cut=true");
}

static void pretty_line(const struct log_event *e, struct log_out *out)
{
    char stamp[STAMP_MAX], head[STAMP_MAX];

    stamp_of(&e->when, stamp);
    if (e->is_coloured)
        (void)snprintf(head, sizeof(head), "\033[2m%.8s\033[0m \033[%sm%-5s ", stamp + 11,
                       colours[e->level], log_level_name(e->level));
    else
        (void)snprintf(head, sizeof(head), "%.8s %-5s ", stamp + 11, log_level_name(e->level));
    log_out_put(out, head);
    log_out_put(out, log_component_name(e->component));
    log_out_put(out, ": ");
    put_words(e, out);
    log_out_end(out, e->is_coloured ? "\033[0m\n" : "\n");
}

/* The fields may not take the room of what people read. */
static void journal_datagram(const struct log_event *e, struct log_out *out)
{
    const size_t capacity = out->capacity;

    out->capacity = capacity / 2;
    log_out_put(out, "MESSAGE=");
    put_words(e, out);
    log_out_end(out, "\n");
    out->capacity = capacity;
    log_out_put(out, "SYSLOG_IDENTIFIER=pomona\n");
    log_out_put(out, priorities[e->level]);
    log_out_put(out, "POMONA_LEVEL=");
    log_out_put(out, log_level_name(e->level));
    log_out_put(out, "\nPOMONA_COMPONENT=");
    log_out_put(out, log_component_name(e->component));
    log_out_put(out, "\n");
    (void)put_fields(out, journal_field, e->common, e->n_common);
    (void)put_fields(out, journal_field, e->fields, e->n_fields);
}

size_t log_render(enum log_format format, const struct log_event *event, char *line,
                  size_t capacity)
{
    struct log_out out = { .bytes = line, .capacity = capacity };

    switch (format) {
    case LOG_JSON: json_line(event, &out); break;
    case LOG_PRETTY: pretty_line(event, &out); break;
    case LOG_JOURNAL: journal_datagram(event, &out); break;
    case LOG_AUTO:
    case LOG_LOGFMT: logfmt_line(event, &out); break;
    }
    return out.used;
}
