/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/tally.c - what an upstream says of its answer: its tokens, and why it ended. */
#include "flow/upstream/tally.h"

#include <jansson.h>
#include <string.h>

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

static uint64_t count_of(const json_t *usage, const char *field)
{
    const json_int_t n = json_integer_value(json_object_get(usage, field));

    return n > 0 ? (uint64_t)n : 0;
}

static void read_usage(struct tally *t, const char *at, const char *end)
{
    json_t *usage = json_loadb(at, (size_t)(end - at), JSON_DISABLE_EOF_CHECK, NULL);

    if (!json_is_object(usage)) {
        json_decref(usage);
        return;
    }
    t->has_usage = true;
    t->usage = (struct reply_usage){
        .prompt_tokens = count_of(usage, "prompt_tokens"),
        .completion_tokens = count_of(usage, "completion_tokens"),
        .cached_tokens = count_of(json_object_get(usage, "prompt_tokens_details"), "cached_tokens"),
    };
    t->total_tokens = count_of(usage, "total_tokens");
    if (t->total_tokens == 0)
        t->total_tokens = t->usage.prompt_tokens + t->usage.completion_tokens;
    if (t->usage.prompt_tokens == 0 && t->usage.completion_tokens == 0) /* some of rerank */
        t->usage.prompt_tokens = t->total_tokens;
    json_decref(usage);
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
