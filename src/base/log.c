/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c - one line per event, on stderr. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* Quotes and control characters would break a logfmt value. */
static size_t append_escaped(char *line, size_t used, size_t room, const char *text)
{
    for (; *text && used + 2 < room; text++) {
        const unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            line[used++] = '\\';
        line[used++] = c < 0x20 ? ' ' : (char)c;
    }
    return used;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    char message[LINE_MAX_BYTES / 2], line[LINE_MAX_BYTES], stamp[32];
    struct timespec now;
    struct tm utc;
    va_list args;
    int n;
    size_t used;

    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);

    if (isatty(STDERR_FILENO)) {
        n = snprintf(line, sizeof(line), "\033[2m%s\033[0m \033[%sm%-5s %s%s%s\033[0m\n",
                     stamp + 11, levels[level].colour, levels[level].name, source,
                     source[0] ? ": " : "", message);
        used = n < 0 ? 0 : size_min((size_t)n, sizeof(line) - 1);
    } else {
        n = snprintf(line, sizeof(line), "ts=%s.%03ldZ level=%s src=\"%s\" msg=\"", stamp,
                     now.tv_nsec / 1000000, levels[level].name, source);
        used = n < 0 ? 0 : size_min((size_t)n, sizeof(line) - 1);
        used = append_escaped(line, used, sizeof(line) - 2, message);
        line[used++] = '"';
        line[used++] = '\n';
    }
    (void)!write(STDERR_FILENO, line, used); /* nobody to tell */
}
