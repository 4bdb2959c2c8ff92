/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/units.c - numbers for people. */
#include "cmd/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"

enum { UNIT_STEP = 1000 };

/* 999.95 would print as 1000.0: move on before that. */
static const double unit_full = 999.95;

static const char *scaled(double value, const char *const *names, size_t n_names, char *ret_text)
{
    size_t i = 0;

    while (value >= unit_full && i + 1 < n_names) {
        value /= UNIT_STEP;
        i++;
    }
    (void)snprintf(ret_text, UNITS_MAX, i == 0 ? "%.0f%s" : "%.1f%s", value, names[i]);
    return ret_text;
}

const char *units_bytes(uint64_t bytes, char *ret_text)
{
    static const char *const names[] = { " B", " kB", " MB", " GB", " TB", " PB" };

    return scaled((double)bytes, names, ARRAY_LEN(names), ret_text);
}

const char *units_count(uint64_t count, char *ret_text)
{
    static const char *const names[] = { "", "k", "M", "B", "T" };

    return scaled((double)count, names, ARRAY_LEN(names), ret_text);
}

const char *units_seconds(double seconds, char *ret_text)
{
    if (!(seconds >= 0) || seconds > 1e9)
        (void)snprintf(ret_text, UNITS_MAX, "?");
    else if (seconds < 10)
        (void)snprintf(ret_text, UNITS_MAX, "%.2f s", seconds);
    else if (seconds < 60)
        (void)snprintf(ret_text, UNITS_MAX, "%.0f s", seconds);
    else if (seconds < 3600)
        (void)snprintf(ret_text, UNITS_MAX, "%.0f min %.0f s", floor(seconds / 60),
                       floor(fmod(seconds, 60)));
    else
        (void)snprintf(ret_text, UNITS_MAX, "%.0f h %.0f min", floor(seconds / 3600),
                       floor(fmod(seconds, 3600) / 60));
    return ret_text;
}

enum status units_list(const char *text, uint32_t min, uint32_t max, uint32_t *ret_values,
                       size_t capacity, size_t *ret_n, struct err *err)
{
    size_t n = 0;

    for (;;) {
        unsigned long value;
        char *end;

        if (*text < '0' || *text > '9')
            return err_set(err, ST_RANGE, "a number is expected at '%s'", text);
        errno = 0;
        value = strtoul(text, &end, 10);
        if (errno != 0 || value < min || value > max)
            return err_set(err, ST_RANGE, "'%s' does not start with a number from %u to %u", text,
                           min, max);
        if (n == capacity)
            return err_set(err, ST_RANGE, "there are more than %zu numbers", capacity);
        ret_values[n++] = (uint32_t)value;
        if (*end == '\0')
            break;
        if (*end != ',')
            return err_set(err, ST_RANGE, "a comma is expected at '%s'", end);
        text = end + 1;
    }
    *ret_n = n;
    return ST_OK;
}
