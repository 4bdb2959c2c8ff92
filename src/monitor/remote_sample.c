/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/remote_sample.c - read an exposition line by line. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/remote.h"

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
}

/* A name at `at`; where it ends, or NULL: there is none, or it is too long. */
static const char *take_name(const char *at, char *ret, size_t capacity)
{
    size_t n = 0;

    while (is_name_char(at[n]))
        n++;
    if (n == 0 || n >= capacity)
        return NULL;
    memcpy(ret, at, n);
    ret[n] = '\0';
    return at + n;
}

/* What is between quotes, with \\, \" and \n undone; where the closing one ends. */
static const char *take_value(const char *at, char *ret, size_t capacity)
{
    size_t n = 0;

    if (*at++ != '"')
        return NULL;
    for (; *at && *at != '"' && *at != '\n'; at++) {
        char c = *at;

        if (c == '\\' && (at[1] == '\\' || at[1] == '"' || at[1] == 'n'))
            c = *++at == 'n' ? '?' : *at;
        if ((unsigned char)c < 0x20 || c == 0x7f)
            c = '?';
        if (n + 1 < capacity)
            ret[n++] = c;
    }
    ret[n] = '\0';
    return *at == '"' ? at + 1 : NULL;
}

/* {a="b",c="d"}: the first is kept. */
static const char *take_labels(const char *at, struct remote_sample *ret)
{
    char name[64], value[REMOTE_NAME_MAX];

    for (bool is_first = true; *at != '}'; is_first = false) {
        at = take_name(at, name, sizeof(name));
        if (!at || *at++ != '=')
            return NULL;
        at = take_value(at, value, sizeof(value));
        if (!at)
            return NULL;
        if (is_first) {
            memcpy(ret->label, name, sizeof(name));
            memcpy(ret->label_value, value, sizeof(value));
        }
        if (*at == ',')
            at++;
        else if (*at != '}')
            return NULL;
    }
    return at + 1;
}

static bool take_line(const char *at, struct remote_sample *ret)
{
    char *end;

    *ret = (struct remote_sample){ 0 };
    at = take_name(at, ret->name, sizeof(ret->name));
    if (at && *at == '{')
        at = take_labels(at + 1, ret);
    if (!at || *at != ' ')
        return false;
    errno = 0;
    ret->value = strtod(at, &end);
    return end != at && (*end == '\n' || *end == ' ' || *end == '\0' || *end == '\r');
}

bool remote_sample_next(const char **at, struct remote_sample *ret)
{
    while (**at) {
        const char *line = *at;
        const char *end = strchr(line, '\n');

        *at = end ? end + 1 : line + strlen(line);
        if (*line != '#' && take_line(line, ret) && isfinite(ret->value))
            return true;
    }
    return false;
}
