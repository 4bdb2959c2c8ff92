/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/body.c - a request's body as an upstream gets it: as it came, under the model's name there.
 *
 * The text is spliced, not written anew: numbers keep their digits and unknown fields their form. Where
 * the name of the field is written with escapes, or twice, it is written anew, lest two readers see two models.
 */
#include "flow/upstream/body.h"

#include <string.h>
#include <xxhash.h>

#include "flow/upstream/scan.h"
#include "gateway/http/json_out.h"

enum { PREFIX_BYTES = 4096, BYTES_OF_A_TOKEN = 4 };

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
    const struct scan_field found = scan_find(text, n, "model");
    size_t end;

    if (found.n_found != 1 || found.at >= n || text[found.at] != '"') {
        write_anew(body, model, out);
        return;
    }
    end = scan_string_end(text, n, found.at);
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
