/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/events.c - a stream of server-sent events, cut where an event ends. */
#include "flow/upstream/events.h"

#include <string.h>

size_t events_whole(const char *bytes, size_t n)
{
    for (; n >= 2; n--) {
        if (bytes[n - 1] != '\n')
            continue;
        if (bytes[n - 2] == '\n' || (n >= 3 && bytes[n - 2] == '\r' && bytes[n - 3] == '\n'))
            return n;
    }
    return 0;
}

static bool begins_with(const char *bytes, size_t n, const char *what)
{
    const size_t n_what = strlen(what);

    return n >= n_what && memcmp(bytes, what, n_what) == 0;
}

/* Inside a text of the answer the second quote would be escaped, so this is the field. */
static uint64_t find_resume_tokens(const char *line, size_t n)
{
    static const char field[] = "\"resume_tokens\":";
    uint64_t value = 0;

    for (size_t i = n; i-- > 0;) {
        if (line[i] != '"' || !begins_with(line + i, n - i, field))
            continue;
        for (i += sizeof(field) - 1; i < n && line[i] >= '0' && line[i] <= '9'; i++)
            value = value * 10 + (uint64_t)(line[i] - '0');
        return value;
    }
    return 0;
}

static void look_at_data(struct events_seen *seen, const char *data, size_t n)
{
    uint64_t tokens;

    while (n > 0 && *data == ' ') {
        data++;
        n--;
    }
    if (begins_with(data, n, "[DONE]")) {
        seen->is_done = true;
        return;
    }
    seen->n_events++;
    seen->has_error |= begins_with(data, n, "{\"error\"");
    tokens = find_resume_tokens(data, n);
    if (tokens > seen->resume_tokens)
        seen->resume_tokens = tokens;
}

void events_look(struct events_seen *seen, const char *bytes, size_t n)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        const size_t n_line = end ? (size_t)(end - bytes) : n;

        if (begins_with(bytes, n_line, "data:"))
            look_at_data(seen, bytes + 5, n_line - 5);
        n -= n_line + (end != NULL);
        bytes += n_line + (end != NULL);
    }
}
