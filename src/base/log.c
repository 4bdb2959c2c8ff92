/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c - one line per event, on stderr. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log_file.h"
#include "base/size.h"

enum { LINE_MAX_BYTES = 2048, SOURCE_MAX_BYTES = 64 };

static const struct {
    const char *name;
    const char *colour; /* ANSI, SGR parameters */
} levels[] = {
    [LOG_DEBUG] = { "debug", "2" },
    [LOG_INFO] = { "info", "0" },
    [LOG_WARN] = { "warn", "33" },
    [LOG_ERROR] = { "error", "31" },
};

static atomic_int threshold = LOG_INFO;
static char source[SOURCE_MAX_BYTES];
static atomic_bool is_for_people;

enum status log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (strcmp(levels[i].name, name) == 0) {
            *ret_level = (enum log_level)i;
            return ST_OK;
        }
    }
    return ST_RANGE;
}

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

void log_set_source(const char *name)
{
    snprintf(source, sizeof(source), "%s", name);
}

void log_set_for_people(void)
{
    atomic_store(&is_for_people, true);
}

/* C0, DEL, or the first byte of C1 in UTF-8: a terminal would obey them, a line of logfmt break. */
static bool is_control(const unsigned char *text)
{
    return text[0] < 0x20 || text[0] == 0x7f ||
           (text[0] == 0xc2 && text[1] >= 0x80 && text[1] < 0xa0);
}

/* Peers' words are among it.  quotes: a backslash goes before them, as logfmt has it. */
static size_t append_clean(char *line, size_t used, size_t room, const char *text, bool quotes)
{
    for (; *text && used + 2 < room; text++) {
        const bool is_c1 = is_control((const unsigned char *)text) && (unsigned char)*text == 0xc2;

        if (quotes && (*text == '"' || *text == '\\'))
            line[used++] = '\\';
        line[used++] = is_control((const unsigned char *)text) ? ' ' : *text;
        text += is_c1;
    }
    return used;
}

size_t log_format(char *line, size_t capacity, const struct log_event *event)
{
    char stamp[32];
    struct tm utc;
    int n;
    size_t used;

    gmtime_r(&event->when.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
    if (event->is_on_terminal)
        n = snprintf(line, capacity, "\033[2m%s\033[0m \033[%sm%-5s ", stamp + 11,
                     levels[event->level].colour, levels[event->level].name);
    else
        n = snprintf(line, capacity, "ts=%s.%03ldZ level=%s src=\"", stamp,
                     event->when.tv_nsec / 1000000, levels[event->level].name);
    used = n < 0 ? 0 : size_min((size_t)n, capacity - 1);
    used = append_clean(line, used, capacity - 16, event->source, !event->is_on_terminal);
    if (event->is_on_terminal)
        used = append_clean(line, used, capacity - 8, event->source[0] ? ": " : "", false);
    else
        used += (size_t)snprintf(line + used, capacity - used, "\" msg=\"");
    used = append_clean(line, used, capacity - 6, event->words, !event->is_on_terminal);
    used += (size_t)snprintf(line + used, capacity - used,
                             event->is_on_terminal ? "\033[0m\n" : "\"\n");
    return used;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char message[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES];
    struct log_event event = { .level = level, .source = source, .words = message };
    va_list args;

    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    clock_gettime(CLOCK_REALTIME, &event.when);
    event.is_on_terminal = atomic_load(&is_for_people) || isatty(STDERR_FILENO) != 0;
    log_file_look();
    (void)!write(STDERR_FILENO, line, log_format(line, sizeof(line), &event)); /* nobody to tell */
}
