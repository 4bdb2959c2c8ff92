/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/openai_chat.c - OpenAI's chat completions.
 *
 * Source: OpenAI API reference, "Chat completions" and its streaming events;
 *         what openai-python 2 reads.
 */
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/answer.h"
#include "gateway/dialect/common.h"
#include "gateway/dialect/messages.h"
#include "gateway/http/json_out.h"

static bool is_no_tool_choice(const json_t *value, const json_t *body)
{
    const char *choice = json_string_value(value);

    (void)body;
    return choice && (strcmp(choice, "none") == 0 || strcmp(choice, "auto") == 0);
}

/* Tools beside tool_choice "none" may not be called, so they may be ignored. */
static bool are_unused_tools(const json_t *value, const json_t *body)
{
    const char *choice = json_string_value(json_object_get(body, "tool_choice"));

    return is_empty_value(value, body) || (choice && strcmp(choice, "none") == 0);
}

static bool is_text_alone(const json_t *value, const json_t *body)
{
    (void)body;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *word = json_string_value(json_array_get(value, i));

        if (!word || strcmp(word, "text") != 0)
            return false;
    }
    return json_is_array(value);
}

static const struct refused_param refused[] = {
    { "tools", are_unused_tools, "Tools are not called here: leave them out." },
    { "tool_choice", is_no_tool_choice, "Tools are not called here: leave it out." },
    { "functions", is_empty_value, "Functions are not called here: leave them out." },
    { "function_call", is_no_tool_choice, "Functions are not called here: leave it out." },
    { "modalities", is_text_alone, "Only [\"text\"] is answered." },
    { "audio", is_never_value, "Only text is answered." },
    { "web_search_options", is_never_value, "Nothing is searched: leave it out." },
    { "continue_final_message", is_false_value, "A new message is answered: leave it out." },
};

static enum status parse_logprobs(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = param_bool(body, "logprobs", &r->sampling.wants_logprobs, e);

    if (s == ST_OK)
        s = param_u32(body, "top_logprobs", 0, REQUEST_TOP_LOGPROBS_MAX,
                      &r->sampling.n_top_logprobs, e);
    if (s == ST_OK && param_get(body, "top_logprobs") && !r->sampling.wants_logprobs)
        return api_error_set(e, API_INVALID_VALUE, "top_logprobs",
                             "'top_logprobs' needs 'logprobs' to be true.");
    return s;
}

static enum status parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = refuse_params(body, refused, ARRAY_LEN(refused), e);

    if (s == ST_OK)
        s = common_parse(body, r, e);
    if (s == ST_OK)
        s = parse_logprobs(body, r, e);
    if (s == ST_OK)
        s = messages_parse(body, &r->variables, e);
    return s;
}

static void write_candidate(const struct reply_candidate *c, struct buf *out)
{
    buf_puts(out, "{\"token\":");
    json_out_string(out, c->bytes, c->n_bytes);
    buf_puts(out, ",\"logprob\":");
    json_out_logprob(out, c->logprob);
    buf_puts(out, ",\"bytes\":[");
    for (size_t i = 0; i < c->n_bytes; i++)
        buf_printf(out, i ? ",%u" : "%u", (unsigned char)c->bytes[i]);
    buf_putc(out, ']'); /* the object stays open: a chosen token has one key more */
}

static void collect(struct answer_choice *c, const struct reply_logprob *logprobs, size_t n)
{
    struct buf *out = &c->logprobs[0];

    for (size_t i = 0; i < n; i++) {
        if (out->len > 0)
            buf_putc(out, ',');
        write_candidate(&logprobs[i].chosen, out);
        buf_puts(out, ",\"top_logprobs\":[");
        for (size_t k = 0; k < logprobs[i].n_top; k++) {
            if (k > 0)
                buf_putc(out, ',');
            write_candidate(&logprobs[i].top[k], out);
            buf_putc(out, '}');
        }
        buf_puts(out, "]}");
    }
}

static void write_logprobs(const struct answer_choice *c, struct buf *out)
{
    if (!c->wants_logprobs) {
        buf_puts(out, "null");
        return;
    }
    buf_printf(out, "{\"content\":[%s],\"refusal\":null}", buf_text(&c->logprobs[0]));
}

static void choice(const struct answer_choice *c, uint32_t index, struct buf *out)
{
    buf_printf(out, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", index);
    json_out_string(out, buf_text(&c->text), c->text.len);
    buf_puts(out, ",\"refusal\":null},\"logprobs\":");
    write_logprobs(c, out);
    buf_puts(out, ",\"finish_reason\":");
    answer_finish_word(c->finish, out);
    buf_putc(out, '}');
}

/* Who speaks is said once for each choice, before any text. */
static void role_event(struct answer *a, uint32_t index, struct buf *out)
{
    answer_event_begin(a, out);
    buf_printf(out,
               "{\"index\":%u,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
               "\"logprobs\":null,\"finish_reason\":null}",
               index);
    answer_event_end(a, NULL, out);
}

static void events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    struct answer_choice *c = &a->choices[delta->choice];

    if (!c->has_begun)
        role_event(a, delta->choice, out);
    c->has_begun = true;
    if (delta->n_text > 0 || delta->n_logprobs > 0) {
        answer_event_begin(a, out);
        buf_printf(out, "{\"index\":%u,\"delta\":{\"content\":", delta->choice);
        json_out_string(out, delta->text, delta->n_text);
        buf_puts(out, "},\"logprobs\":");
        write_logprobs(c, out);
        buf_puts(out, ",\"finish_reason\":null}");
        answer_event_end(a, delta, out);
    }
    if (delta->finish == FINISH_NONE)
        return;
    answer_event_begin(a, out);
    buf_printf(out,
               "{\"index\":%u,\"delta\":{},\"logprobs\":null,\"finish_reason\":", delta->choice);
    answer_finish_word(delta->finish, out);
    buf_putc(out, '}');
    answer_event_end(a, delta, out);
}

const struct dialect openai_chat = {
    .name = "openai chat",
    .id_prefix = "chatcmpl-",
    .object = "chat.completion",
    .chunk = "chat.completion.chunk",
    .parse = parse,
    .choice = choice,
    .events = events,
    .collect = collect,
};
