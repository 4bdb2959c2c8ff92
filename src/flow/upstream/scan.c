/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/scan.c - fields of JSON text, found without parsing it. */
#include "flow/upstream/scan.h"

#include <stdbool.h>
#include <string.h>

enum { DIGITS_MAX = 18 };

size_t scan_string_end(const char *text, size_t n, size_t at)
{
    for (at++; at < n && text[at] != '"'; at++)
        at += text[at] == '\\';
    return at < n ? at + 1 : n;
}

static size_t skip_space(const char *text, size_t n, size_t at)
{
    while (at < n && strchr(" \t\r\n", text[at]) && text[at])
        at++;
    return at;
}

/* Of a string in the object itself, whether it is a name and which; values are skipped by who calls. */
static bool is_name(const char *text, size_t n, size_t end)
{
    const size_t at = skip_space(text, n, end);

    return at < n && text[at] == ':';
}

static void take_name(const char *text, size_t n, size_t begin, size_t end, const char *name,
                      struct scan_field *found)
{
    const size_t n_name = strlen(name);

    if (memchr(text + begin, '\\', end - begin)) {
        found->n_found += 2; /* it may be this one */
        return;
    }
    if (end - begin != n_name + 2 || memcmp(text + begin + 1, name, n_name) != 0)
        return;
    found->n_found++;
    found->at = skip_space(text, n, skip_space(text, n, end) + 1);
}

struct scan_field scan_find(const char *text, size_t n, const char *name)
{
    struct scan_field found = { 0 };
    size_t depth = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            const size_t end = scan_string_end(text, n, i);

            if (depth == 1 && is_name(text, n, end))
                take_name(text, n, i, end, name, &found);
            i = end - 1;
        } else if (text[i] == '{' || text[i] == '[') {
            depth++;
        } else if (text[i] == '}' || text[i] == ']') {
            depth--;
        }
    }
    return found;
}

size_t scan_object(const char *text, size_t n)
{
    size_t depth = 0;

    if (n == 0 || text[0] != '{')
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"')
            i = scan_string_end(text, n, i) - 1;
        else if (text[i] == '{' || text[i] == '[')
            depth++;
        else if ((text[i] == '}' || text[i] == ']') && --depth == 0)
            return i + 1;
    }
    return 0;
}

static bool is_end_of_number(char c)
{
    return c && strchr(",}] \t\r\n", c);
}

uint64_t scan_count(const char *text, size_t n, const char *name)
{
    const struct scan_field found = scan_find(text, n, name);
    uint64_t count = 0;
    size_t i = found.at;

    if (found.n_found != 1)
        return 0;
    while (i < n && i < found.at + DIGITS_MAX && text[i] >= '0' && text[i] <= '9')
        count = count * 10 + (uint64_t)(text[i++] - '0');
    return i < n && is_end_of_number(text[i]) ? count : 0;
}
