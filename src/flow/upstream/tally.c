/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/tally.c - what an upstream says of its answer: its tokens, and why it ended. */
#include "flow/upstream/tally.h"

#include <string.h>

#include "flow/upstream/scan.h"

/* Usual ones have 200.  What may be said often has to be short, or reading takes long. */
enum { USAGE_BYTES_MAX = 2048 };

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* The value of the first field of this name, which is in its quotes; NULL: there is none. */
static const char *find_value(const char *at, const char *end, const char *field)
{
    const size_t n_field = strlen(field);

    while ((at = memmem(at, (size_t)(end - at), field, n_field))) {
        at = skip_space(at + n_field, end);
        if (at < end && *at == ':')
            return skip_space(at + 1, end);
    }
    return NULL;
}

/* Of an object within the usage. */
static uint64_t count_in(const char *usage, size_t n, const char *object, const char *field)
{
    const struct scan_field found = scan_find(usage, n, object);
    const size_t n_object = found.n_found == 1 ? scan_object(usage + found.at, n - found.at) : 0;

    return n_object ? scan_count(usage + found.at, n_object, field) : 0;
}

static void read_usage(struct tally *t, const char *usage, const char *end)
{
    const size_t n_left = (size_t)(end - usage);
    const size_t n = scan_object(usage, n_left < USAGE_BYTES_MAX ? n_left : USAGE_BYTES_MAX);

    if (n == 0)
        return;
    t->has_usage = true;
    t->usage = (struct reply_usage){
        .prompt_tokens = scan_count(usage, n, "prompt_tokens"),
        .completion_tokens = scan_count(usage, n, "completion_tokens"),
        .cached_tokens = count_in(usage, n, "prompt_tokens_details", "cached_tokens"),
    };
    t->total_tokens = scan_count(usage, n, "total_tokens");
    if (t->total_tokens == 0)
        t->total_tokens = t->usage.prompt_tokens + t->usage.completion_tokens;
    if (t->usage.prompt_tokens == 0 && t->usage.completion_tokens == 0) /* some of rerank */
        t->usage.prompt_tokens = t->total_tokens;
}

static void read_finish(struct tally *t, const char *at, const char *end)
{
    static const char stop[] = "\"stop\"", length[] = "\"length\"", calls[] = "\"tool_calls\"";
    const size_t n = (size_t)(end - at);

    if (n >= sizeof(stop) - 1 && memcmp(at, stop, sizeof(stop) - 1) == 0)
        t->n_stopped++;
    else if (n >= sizeof(length) - 1 && memcmp(at, length, sizeof(length) - 1) == 0)
        t->n_too_long++;
    else if (n >= sizeof(calls) - 1 && memcmp(at, calls, sizeof(calls) - 1) == 0)
        t->n_called++;
    else if (n > 0 && *at == '"')
        t->n_other++;
}

void tally_look(struct tally *t, const char *json, size_t n)
{
    const char *const end = json + n;

    for (const char *at = json; (at = find_value(at, end, "\"usage\""));)
        if (at < end && *at == '{')
            read_usage(t, at, end);
    for (const char *at = json; (at = find_value(at, end, "\"finish_reason\""));)
        read_finish(t, at, end);
}
