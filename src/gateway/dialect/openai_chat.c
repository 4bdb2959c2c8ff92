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
#include "gateway/dialect/logprobs.h"
#include "gateway/dialect/messages.h"
#include "gateway/dialect/tools.h"
#include "gateway/http/json_out.h"

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
    { "best_of", is_one_value, "Ask for 'n' answers." },
    { "echo", is_false_value, "A chat's answer is the answer alone." },
    { "modalities", is_text_alone, "Only [\"text\"] is answered." },
    { "audio", is_never_value, "Only text is answered." },
    { "web_search_options", is_never_value, "Nothing is searched: leave it out." },
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
    enum status s;

    /* Some clients send to this address what belongs to the Responses, and read an answer of this. */
    if (param_get(body, "input") && !param_get(body, "messages"))
        return openai_responses.parse(body, r, e);
    s = refuse_params(body, refused, ARRAY_LEN(refused), e);

    if (s == ST_OK)
        s = common_parse(body, r, e);
    if (s == ST_OK)
        s = parse_logprobs(body, r, e);
    if (s == ST_OK)
        s = messages_parse(body, r, e);
    if (s == ST_OK)
        s = tools_parse(body, r, e);
    if (s == ST_OK)
        s = param_u32(body, "thinking_token_budget", 1, 1 << 30, &r->thought_tokens_max, e);
    return s;
}

static void write_logprobs(const struct answer_choice *c, struct buf *out)
{
    if (!c->wants_logprobs) {
        buf_puts(out, "null");
        return;
    }
    buf_printf(out, "{\"content\":[%s],\"refusal\":null}", buf_text(&c->logprobs[0]));
}

/* "id":..,"type":..,"function":{"name":..,"arguments": : the text of arguments follows. */
static void open_call(const struct answer_call *call, struct buf *out)
{
    const char *type = call->is_custom ? "custom" : "function";

    buf_printf(out, "\"id\":\"%s\",\"type\":\"%s\",\"%s\":{\"name\":", call->id, type, type);
    json_out_string(out, buf_text(&call->name), call->name.len);
    buf_puts(out, call->is_custom ? ",\"input\":" : ",\"arguments\":");
}

static void write_arguments(const struct answer_call *call, struct buf *out)
{
    json_t *input;

    if (!call->is_custom) {
        json_out_string(out, buf_text(&call->arguments), call->arguments.len);
        return;
    }
    input = tools_custom_input(buf_text(&call->arguments), call->arguments.len);
    json_out_string(out, json_string_value(input), json_string_length(input));
    json_decref(input);
}

static void write_calls(const struct answer_choice *c, struct buf *out)
{
    if (c->answers_function) {
        buf_puts(out, ",\"function_call\":{\"name\":");
        json_out_string(out, buf_text(&c->calls[0].name), c->calls[0].name.len);
        buf_puts(out, ",\"arguments\":");
        json_out_string(out, buf_text(&c->calls[0].arguments), c->calls[0].arguments.len);
        buf_putc(out, '}');
        return;
    }
    buf_puts(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < c->n_calls; i++) {
        buf_puts(out, i ? ",{" : "{");
        open_call(&c->calls[i], out);
        write_arguments(&c->calls[i], out);
        buf_puts(out, "}}");
    }
    buf_putc(out, ']');
}

static void finish_word(const struct answer_choice *c, enum finish_reason finish, struct buf *out)
{
    if (finish == FINISH_TOOL_CALLS && c->answers_function)
        buf_puts(out, "\"function_call\"");
    else
        answer_finish_word(finish, out);
}

/* Which stop string it was, in vLLM's word: other dialects of who passes this on tell it. */
static void stop_reason(const struct answer_choice *c, struct buf *out)
{
    if (!c->stop[0])
        return;
    buf_puts(out, ",\"stop_reason\":");
    json_out_text(out, c->stop);
}

static void choice(const struct answer_choice *c, uint32_t index, struct buf *out)
{
    buf_printf(out, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", index);
    if (c->n_calls > 0 && c->text.len == 0)
        buf_puts(out, "null");
    else
        json_out_string(out, buf_text(&c->text), c->text.len);
    if (c->thoughts.len > 0) {
        buf_puts(out, ",\"reasoning_content\":");
        json_out_string(out, buf_text(&c->thoughts), c->thoughts.len);
    }
    if (c->n_calls > 0)
        write_calls(c, out);
    buf_puts(out, ",\"refusal\":null},\"logprobs\":");
    write_logprobs(c, out);
    buf_puts(out, ",\"finish_reason\":");
    finish_word(c, c->finish, out);
    stop_reason(c, out);
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

/* The delta's object of thoughts and calls. */
static void write_other(const struct answer_choice *c, const struct reply_delta *delta,
                        struct buf *out)
{
    const struct answer_call *call = c->n_calls ? &c->calls[c->n_calls - 1] : NULL;

    if (delta->part == REPLY_REASONING || !call) {
        buf_puts(out, "\"reasoning_content\":");
        json_out_string(out, delta->text, delta->n_text);
        return;
    }
    buf_puts(out, c->answers_function ? "\"function_call\":{" : "\"tool_calls\":[{");
    if (!c->answers_function)
        buf_printf(out, "\"index\":%u,", delta->call);
    if (delta->part == REPLY_TOOL_NAME && !c->answers_function) {
        open_call(call, out);
        buf_puts(out, "\"\"}}]");
        return;
    }
    if (!c->answers_function)
        buf_puts(out, "\"function\":{");
    buf_puts(out, delta->part == REPLY_TOOL_NAME ? "\"name\":" : "\"arguments\":");
    json_out_string(out, delta->text, delta->n_text);
    if (delta->part == REPLY_TOOL_NAME)
        buf_puts(out, ",\"arguments\":\"\"");
    buf_puts(out, c->answers_function ? "}" : "}}]");
}

/* What a tool of free text is given is known once the call's arguments are whole. */
static void custom_event(struct answer *a, uint32_t index, size_t call, struct buf *out)
{
    struct answer_call *told = &a->choices[index].calls[call];

    if (!told->is_custom || told->is_told)
        return;
    told->is_told = true;
    answer_event_begin(a, out);
    buf_printf(out,
               "{\"index\":%u,\"delta\":{\"tool_calls\":[{\"index\":%zu,\"custom\":{\"input\":",
               index, call);
    write_arguments(told, out);
    buf_puts(out, "}}]},\"logprobs\":null,\"finish_reason\":null}");
    answer_event_end(a, NULL, out);
}

/* Of the calls that `delta` ends. */
static void custom_events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    const size_t n = a->choices[delta->choice].n_calls;
    const bool is_call = delta->part == REPLY_TOOL_NAME || delta->part == REPLY_TOOL_ARGUMENTS;
    const size_t n_open = is_call && delta->finish == FINISH_NONE ? 1 : 0;

    for (size_t i = 0; i + n_open < n; i++)
        custom_event(a, delta->choice, i, out);
}

static bool is_told_later(const struct answer_choice *c, const struct reply_delta *delta)
{
    return delta->part == REPLY_TOOL_ARGUMENTS && c->n_calls > 0 &&
           c->calls[c->n_calls - 1].is_custom;
}

static void events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    struct answer_choice *c = &a->choices[delta->choice];

    if (!c->has_begun)
        role_event(a, delta->choice, out);
    c->has_begun = true;
    custom_events(a, delta, out);
    if ((delta->n_text > 0 || delta->n_logprobs > 0) && !is_told_later(c, delta)) {
        answer_event_begin(a, out);
        buf_printf(out, "{\"index\":%u,\"delta\":{", delta->choice);
        if (delta->part == REPLY_TEXT) {
            buf_puts(out, "\"content\":");
            json_out_string(out, delta->text, delta->n_text);
        } else {
            write_other(c, delta, out);
        }
        buf_puts(out, "},\"logprobs\":");
        if (delta->part == REPLY_TEXT)
            write_logprobs(c, out);
        else
            buf_puts(out, "null");
        buf_puts(out, ",\"finish_reason\":null}");
        answer_event_end(a, delta, out);
    }
    if (delta->finish == FINISH_NONE)
        return;
    answer_event_begin(a, out);
    buf_printf(out,
               "{\"index\":%u,\"delta\":{},\"logprobs\":null,\"finish_reason\":", delta->choice);
    finish_word(c, delta->finish, out);
    stop_reason(c, out);
    buf_putc(out, '}');
    answer_event_end(a, delta, out);
}

/* The first of its choice says who speaks. */
static void silent(struct answer *a, uint32_t choice, struct buf *out)
{
    struct answer_choice *c = &a->choices[choice];

    buf_printf(out, "{\"index\":%u,\"delta\":{%s},\"logprobs\":null,\"finish_reason\":null}",
               choice, c->has_begun ? "" : "\"role\":\"assistant\",\"content\":\"\"");
    c->has_begun = true;
}

const struct dialect openai_chat = {
    .name = "openai chat",
    .id_prefix = "chatcmpl-",
    .object = "chat.completion",
    .chunk = "chat.completion.chunk",
    .parse = parse,
    .choice = choice,
    .events = events,
    .silent = silent,
    .collect = logprobs_collect,
};
