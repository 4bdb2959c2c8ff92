/* SPDX-License-Identifier: Apache-2.0 */
/* base/log.c - one structured line per event: where it goes, and that it is not said too often. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_file.h"
#include "base/log_journal.h"
#include "base/log_repeat.h"
#include "base/size.h"

enum { COMMON_MAX = 4, COMMON_TEXT_MAX = 64, FIELDS_MAX = 24 };

static _Atomic int format = LOG_AUTO;
static atomic_bool is_coloured;

static struct log_field common[COMMON_MAX];
static char common_text[COMMON_MAX][COMMON_TEXT_MAX];
static _Atomic size_t n_common;

static struct log_repeat repeat;
static pthread_mutex_t repeat_lock = PTHREAD_MUTEX_INITIALIZER;

static enum log_format resolve(enum log_format wanted)
{
    if (wanted != LOG_AUTO)
        return wanted;
    if (log_journal_is_stderr())
        return LOG_JOURNAL;
    return isatty(STDERR_FILENO) ? LOG_PRETTY : LOG_LOGFMT;
}

/* https://no-color.org */
void log_use_format(enum log_format wanted)
{
    const char *no_colour = getenv("NO_COLOR");

    atomic_store(&is_coloured, isatty(STDERR_FILENO) && !(no_colour && no_colour[0]));
    atomic_store(&format, (int)resolve(wanted));
}

static enum log_format format_now(void)
{
    if (atomic_load_explicit(&format, memory_order_relaxed) == LOG_AUTO)
        log_use_format(LOG_AUTO);
    return (enum log_format)atomic_load(&format);
}

void log_set_common(const struct log_field *fields, size_t n)
{
    n = size_min(n, COMMON_MAX);
    atomic_store(&n_common, 0);
    for (size_t i = 0; i < n; i++) {
        common[i] = fields[i];
        if (fields[i].kind != LOG_KIND_TEXT || !fields[i].value.text)
            continue;
        (void)snprintf(common_text[i], COMMON_TEXT_MAX, "%s", fields[i].value.text);
        common[i].value.text = common_text[i];
    }
    atomic_store(&n_common, n);
}

static bool is_told(const struct log_event *event, uint32_t *ret_n_left_out)
{
    const uint64_t hash = log_repeat_hash(event), now_ns = clock_ns();
    bool is;

    (void)pthread_mutex_lock(&repeat_lock);
    is = log_repeat_allows(&repeat, hash, now_ns, ret_n_left_out);
    (void)pthread_mutex_unlock(&repeat_lock);
    return is;
}

/* Where the journal takes nothing the line goes to its stream, which waits for it. */
static void put(const struct log_event *event)
{
    char line[2 * LOG_LINE_MAX];
    enum log_format as = format_now();

    if (as == LOG_JOURNAL) {
        if (log_journal_send(line, log_render(as, event, line, sizeof(line))))
            return;
        as = LOG_LOGFMT;
    }
    log_file_look();
    (void)!write(STDERR_FILENO, line,
                 log_render(as, event, line, LOG_LINE_MAX)); /* nobody to tell */
}

void log_write(enum log_level level, enum log_component component, const char *message,
               const struct log_field *fields, size_t n_fields)
{
    struct log_field all[FIELDS_MAX + 1];
    struct log_event event = {
        .level = level,
        .component = component,
        .message = message,
        .common = common,
        .n_common = atomic_load(&n_common),
        .fields = fields,
        .n_fields = size_min(n_fields, FIELDS_MAX),
    };
    uint32_t n_left_out;

    if (!log_is_on(level, component) || !is_told(&event, &n_left_out))
        return;
    if (n_left_out > 0) {
        if (event.n_fields > 0)
            memcpy(all, fields, event.n_fields * sizeof(*fields));
        all[event.n_fields++] = log_count("repeated", n_left_out);
        event.fields = all;
    }
    (void)clock_gettime(CLOCK_REALTIME, &event.when);
    event.is_coloured = atomic_load(&is_coloured);
    put(&event);
}

void log_words(enum log_level level, enum log_component component, const char *fmt, ...)
{
    char message[LOG_VALUE_MAX_BYTES + 1];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    log_write(level, component, message, NULL, 0);
}
