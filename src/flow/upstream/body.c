/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/body.c - a request's body as an upstream gets it: as it came, under the model's name there.
 *
 * The text is spliced, not written anew: numbers keep their digits and unknown fields their form. Where
 * the name of the field is written with escapes, or twice, it is written anew, lest two readers see two models.
 */
#include "flow/upstream/body.h"

#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

#include "gateway/http/json_out.h"

enum { PREFIX_BYTES = 4096, BYTES_OF_A_TOKEN = 4 };

/* Where a string that begins at text[at] ends: the index after its closing quote. */
static size_t string_end(const char *text, size_t n, size_t at)
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

/* What is known of a field of the object itself. */
struct found {
    size_t at; /* where its value begins */
    size_t
        n_found; /* 1: it is this one; more: some of that name, or of names that are written with escapes */
};

/* Of a string in the object itself, whether it is a name and which; values are skipped by who calls. */
static bool is_name(const char *text, size_t n, size_t end)
{
    const size_t at = skip_space(text, n, end);

    return at < n && text[at] == ':';
}

static void take_name(const char *text, size_t n, size_t begin, size_t end, const char *name,
                      struct found *found)
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

/* `text` need not be JSON: what is found then means nothing, but lies within. */
static struct found find(const char *text, size_t n, const char *name)
{
    struct found found = { 0 };
    size_t depth = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '"') {
            const size_t end = string_end(text, n, i);

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

static int append(const char *bytes, size_t n, void *arg)
{
    buf_append(arg, bytes, n);
    return 0;
}

static void write_anew(const json_t *body, const char *model, struct buf *out)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)body);

    if (!copy || json_object_set_new(copy, "model", json_string(model)) != 0 ||
        json_dump_callback(copy, append, out, JSON_COMPACT) != 0)
        out->failed = true;
    json_decref(copy);
}

void body_with_model(const char *text, size_t n, const json_t *body, const char *model,
                     struct buf *out)
{
    const struct found found = find(text, n, "model");
    size_t end;

    if (found.n_found != 1 || found.at >= n || text[found.at] != '"') {
        write_anew(body, model, out);
        return;
    }
    end = string_end(text, n, found.at);
    buf_append(out, text, found.at);
    json_out_text(out, model);
    buf_append(out, text + end, n - end);
}

static uint64_t hash_text(const char *text)
{
    return text && text[0] ? XXH3_64bits(text, strlen(text)) | 1 : 0;
}

static uint64_t find_session(const json_t *body, const char *header)
{
    static const char *const fields[] = { "prompt_cache_key", "previous_response_id",
                                          "conversation" };
    uint64_t session = hash_text(header);

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && !session; i++)
        session = hash_text(json_string_value(json_object_get(body, fields[i])));
    return session;
}

/* The beginning of what a model reads first: instructions, then the messages as far as they go. */
uint64_t body_prefix(const json_t *body)
{
    static const char *const fields[] = { "system",   "instructions", "tools",
                                          "messages", "input",        "prompt" };
    char text[PREFIX_BYTES];
    XXH3_state_t *state = XXH3_createState();
    uint64_t hash;

    if (!state)
        return 0;
    (void)XXH3_64bits_reset(state);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const json_t *value = json_object_get(body, fields[i]);
        const size_t n =
            value ? json_dumpb(value, text, sizeof(text), JSON_COMPACT | JSON_ENCODE_ANY) : 0;

        if (n > 0)
            (void)XXH3_64bits_update(state, text, n < sizeof(text) ? n : sizeof(text));
    }
    hash = XXH3_64bits_digest(state) | 1;
    XXH3_freeState(state);
    return hash;
}

static uint64_t answer_tokens(const json_t *body, double usual)
{
    static const char *const fields[] = { "max_completion_tokens", "max_tokens",
                                          "max_output_tokens" };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const json_int_t n = json_integer_value(json_object_get(body, fields[i]));

        if (n > 0 && (double)n < usual) /* limits are set high; few answers reach them */
            return (uint64_t)n;
    }
    return (uint64_t)usual;
}

struct balance_request body_measure(size_t n, const json_t *body, const char *session,
                                    double usual_answer_tokens)
{
    return (struct balance_request){
        .n_prompt_tokens = n / BYTES_OF_A_TOKEN + 1,
        .n_answer_tokens = answer_tokens(body, usual_answer_tokens),
        .session = find_session(body, session),
    };
}
