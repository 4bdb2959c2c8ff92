/* SPDX-License-Identifier: Apache-2.0 */
/* base/status.c - words for every status, and the err buffer. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum status status;
    const char *words;
} statuses[] = {
#define X(name, code, words) { name, words },
    STATUS_MAP(X)
#undef X
};

enum { N_STATUSES = sizeof(statuses) / sizeof(statuses[0]) };

const char *status_words(enum status s)
{
    for (size_t i = 0; i < N_STATUSES; i++)
        if (statuses[i].status == s)
            return statuses[i].words;
    return "unknown status";
}

enum status status_from_code(int code)
{
    for (size_t i = 0; i < N_STATUSES; i++)
        if ((int)statuses[i].status == code)
            return statuses[i].status;
    return ST_IO;
}

enum status err_set(struct err *err, enum status s, const char *fmt, ...)
{
    va_list args;

    if (!err)
        return s;
    err->status = s;
    va_start(args, fmt);
    vsnprintf(err->words, sizeof(err->words), fmt, args);
    va_end(args);
    return s;
}

enum status err_errno(struct err *err, const char *fmt, ...)
{
    const int code = errno;
    va_list args;
    size_t used;

    if (!err)
        return ST_IO;
    err->status = ST_IO;
    va_start(args, fmt);
    vsnprintf(err->words, sizeof(err->words), fmt, args);
    va_end(args);
    used = strlen(err->words);
    snprintf(err->words + used, sizeof(err->words) - used, ": %s", strerror(code));
    return ST_IO;
}

void err_wrap(struct err *err, const char *fmt, ...)
{
    char inner[ERR_WORDS_MAX];
    va_list args;
    size_t used;

    if (!err)
        return;
    memcpy(inner, err->words, sizeof(inner));
    va_start(args, fmt);
    vsnprintf(err->words, sizeof(err->words), fmt, args);
    va_end(args);
    used = strlen(err->words);
    snprintf(err->words + used, sizeof(err->words) - used, ": %s", inner);
}
