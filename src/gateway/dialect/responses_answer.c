/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_answer.c - OpenAI's Responses: the answer, whole and as events.
 *
 *   response.created, response.in_progress,
 *   (response.output_item.added, deltas, done, response.output_item.done)...,
 *   one of response.completed, response.incomplete, response.failed
 *
 * Every event is numbered.  One item is open at a time.  The last event holds the whole output, so it
 * is the one line that may be long.
 *
 * Source: OpenAI API reference, "Responses", "Streaming events"
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/responses.h"
#include "gateway/dialect/responses_store.h"
#include "gateway/dialect/tools.h"
#include "gateway/http/json_out.h"
#include "text/json_whole.h"

static json_t *usage_json(const struct reply_usage *u)
{
    return json_pack("{s:I,s:{s:I},s:I,s:{s:I},s:I}", "input_tokens", (json_int_t)u->prompt_tokens,
                     "input_tokens_details", "cached_tokens", (json_int_t)u->cached_tokens,
                     "output_tokens", (json_int_t)u->completion_tokens, "output_tokens_details",
                     "reasoning_tokens", (json_int_t)u->reasoning_tokens, "total_tokens",
                     (json_int_t)(u->prompt_tokens + u->completion_tokens));
}

/* usage, e  may be NULL */
static json_t *response_json(const struct answer *a, const char *status, json_t *output,
                             const struct reply_usage *usage, const struct api_error *e)
{
    const bool is_cut = strcmp(status, "incomplete") == 0;
    json_t *r = json_whole_copy(json_object_get(a->context, "response"));
    json_t *own =
        json_pack("{s:s,s:s,s:I,s:s,s:s,s:O,s:o,s:o,s:o,s:O}", "id", a->id, "object", "response",
                  "created_at", (json_int_t)a->created_unix_s, "status", status, "model", a->model,
                  "output", output, "usage", usage ? usage_json(usage) : json_null(), "error",
                  e ? json_pack("{s:s,s:s}", "code",
                                api_error_code(e->kind) ? api_error_code(e->kind) : "server_error",
                                "message", e->message)
                    : json_null(),
                  "incomplete_details",
                  is_cut ? json_pack("{s:s}", "reason", "max_output_tokens") : json_null(), "store",
                  json_object_get(a->context, "stores"));

    if (r && (!own || json_object_update(r, own) != 0)) {
        json_decref(r);
        r = NULL;
    }
    json_decref(own);
    return r;
}

static const char *status_of(const struct answer_choice *c)
{
    return c->finish == FINISH_LENGTH ? "incomplete" : "completed";
}

/* The turn that the answer was, for whoever goes on with it; NULL: no memory. */
static json_t *turn_json(const struct answer_choice *c)
{
    json_t *calls = json_array();
    json_t *turn =
        json_pack("{s:s,s:s%}", "role", "assistant", "content", buf_text(&c->text), c->text.len);
    bool is_whole = turn && calls;

    for (size_t i = 0; i < c->n_calls && is_whole; i++) {
        const struct answer_call *call = &c->calls[i];

        is_whole =
            json_array_append_new(calls, tool_call_for_template(call->id, buf_text(&call->name),
                                                                buf_text(&call->arguments),
                                                                call->arguments.len)) == 0;
    }
    if (is_whole && c->thoughts.len > 0)
        is_whole = json_object_set_new(turn, "reasoning_content",
                                       json_stringn(c->thoughts.data, c->thoughts.len)) == 0;
    if (is_whole && c->n_calls > 0)
        is_whole = json_object_set(turn, "tool_calls", calls) == 0;
    json_decref(calls);
    if (is_whole)
        return turn;
    json_decref(turn);
    return NULL;
}

static void keep(const struct answer *a, json_t *response)
{
    json_t *turns, *record;

    if (!a->store || !json_is_true(json_object_get(a->context, "stores")))
        return;
    turns = json_whole_copy(json_object_get(a->context, "turns"));
    if (turns && json_array_append_new(turns, turn_json(&a->choices[0])) == 0) {
        record = json_pack("{s:O,s:O,s:O,s:O}", "response", response, "input",
                           json_object_get(a->context, "input"), "turns", turns, "user",
                           json_object_get(a->context, "user"));
        if (record)
            responses_store_put(a->store, a->owner, a->id, record);
        json_decref(record);
    }
    json_decref(turns);
}

/* False: no memory. */
static bool append_items(const struct answer *a, json_t *output)
{
    const struct answer_choice *c = &a->choices[0];
    char id[REQUEST_ID_MAX];
    bool is_whole = true;

    if (c->thoughts.len > 0) {
        responses_make_id("rs_", id);
        is_whole = json_array_append_new(
                       output, responses_thoughts(id, c->thoughts.data, c->thoughts.len)) == 0;
    }
    if (is_whole && (c->text.len > 0 || c->n_calls == 0)) {
        responses_make_id("msg_", id);
        is_whole =
            json_array_append_new(output, responses_message(id, buf_text(&c->text), c->text.len,
                                                            &c->logprobs[0], status_of(c))) == 0;
    }
    for (size_t i = 0; i < c->n_calls && is_whole; i++) {
        const struct answer_call *call = &c->calls[i];

        responses_make_id(call->is_custom ? "ctc_" : "fc_", id);
        is_whole =
            json_array_append_new(output, responses_call(id, call, buf_text(&call->arguments),
                                                         call->arguments.len)) == 0;
    }
    return is_whole;
}

void responses_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    json_t *output = json_array();
    json_t *response;

    if (!append_items(a, output))
        out->failed = true;
    response = response_json(a, status_of(&a->choices[0]), output, usage, NULL);
    json_out_value(out, response);
    if (buf_status(out) == ST_OK)
        keep(a, response);
    json_decref(response);
    json_decref(output);
}

static void event_begin(struct answer *a, const char *type, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%" PRIu64, type, type,
               a->n_events++);
}

static void event_end(struct buf *out)
{
    buf_puts(out, "}\n\n");
}

static void response_event(struct answer *a, const char *type, const json_t *response,
                           struct buf *out)
{
    event_begin(a, type, out);
    buf_puts(out, ",\"response\":");
    json_out_value(out, response);
    event_end(out);
}

void responses_begin(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    json_t *response;

    (void)usage;
    a->output = json_array();
    response = response_json(a, "in_progress", a->output, NULL, NULL);
    response_event(a, "response.created", response, out);
    response_event(a, "response.in_progress", response, out);
    json_decref(response);
}

/* An event of the open item. */
static void item_event(struct answer *a, const char *type, struct buf *out)
{
    event_begin(a, type, out);
    buf_printf(out, ",\"item_id\":\"%s\",\"output_index\":%u", a->item_id, a->n_blocks - 1);
}

static void text_event(struct answer *a, const char *type, const char *key, const char *text,
                       size_t n, struct buf *out)
{
    const bool is_delta = strstr(type, ".delta") != NULL;

    item_event(a, type, out);
    if (a->block == REPLY_TEXT || a->block == REPLY_REASONING)
        buf_puts(out, ",\"content_index\":0");
    if (a->block == REPLY_TEXT && strstr(type, "output_text"))
        buf_printf(out, ",\"logprobs\":[%s]",
                   buf_text(is_delta ? &a->choices[0].logprobs[0] : &a->item_logprobs));
    buf_printf(out, ",\"%s\":", key);
    json_out_string(out, text, n);
    event_end(out);
}

static void part_event(struct answer *a, const char *type, struct buf *out)
{
    item_event(a, type, out);
    buf_printf(out, ",\"content_index\":0,\"part\":{\"type\":\"%s\",\"text\":",
               a->block == REPLY_TEXT ? "output_text" : "reasoning_text");
    json_out_string(out, buf_text(&a->item), a->item.len);
    if (a->block == REPLY_TEXT)
        buf_printf(out, ",\"annotations\":[],\"logprobs\":[%s]", buf_text(&a->item_logprobs));
    buf_putc(out, '}');
    event_end(out);
}

static const struct answer_call *open_call(const struct answer *a)
{
    return &a->choices[0].calls[a->choices[0].n_calls - 1];
}

/* The open item as far as it is known; in_progress: as it is announced, empty.  NULL: no memory. */
static json_t *item_json(const struct answer *a, bool in_progress)
{
    const char *text = buf_text(&a->item);
    const struct answer_choice *c = &a->choices[0];
    json_t *item;

    if (a->block == REPLY_TEXT)
        item = responses_message(a->item_id, text, a->item.len, &a->item_logprobs, status_of(c));
    else if (a->block == REPLY_REASONING)
        item = responses_thoughts(a->item_id, text, a->item.len);
    else
        item = responses_call(a->item_id, &a->call, text, a->item.len);
    if (!in_progress)
        return item;
    if (json_object_set_new(item, "status", json_string("in_progress")) == 0 &&
        (!json_object_get(item, "content") ||
         json_object_set_new(item, "content", json_array()) == 0))
        return item;
    json_decref(item);
    return NULL;
}

static void item_done_event(struct answer *a, const char *type, bool in_progress, struct buf *out)
{
    json_t *item = item_json(a, in_progress);

    event_begin(a, type, out);
    buf_printf(out, ",\"output_index\":%u,\"item\":", a->n_blocks - 1);
    json_out_value(out, item);
    event_end(out);
    if (!in_progress && json_array_append(a->output, item) != 0)
        out->failed = true;
    json_decref(item);
}

static void close_call(struct answer *a, struct buf *out)
{
    const char *text = buf_text(&a->item);
    json_t *input;

    if (!a->call.is_custom) {
        text_event(a, "response.function_call_arguments.done", "arguments", text, a->item.len, out);
        return;
    }
    input = tools_custom_input(text, a->item.len);
    if (!input)
        out->failed = true;
    text_event(a, "response.custom_tool_call_input.delta", "delta", json_string_value(input),
               json_string_length(input), out);
    text_event(a, "response.custom_tool_call_input.done", "input", json_string_value(input),
               json_string_length(input), out);
    json_decref(input);
}

static void close_item(struct answer *a, struct buf *out)
{
    if (!a->has_block)
        return;
    if (buf_status(&a->item) != ST_OK || buf_status(&a->item_logprobs) != ST_OK)
        out->failed = true;
    if (a->block == REPLY_TOOL_NAME) {
        close_call(a, out);
    } else {
        text_event(a,
                   a->block == REPLY_TEXT ? "response.output_text.done"
                                          : "response.reasoning_text.done",
                   "text", buf_text(&a->item), a->item.len, out);
        part_event(a, "response.content_part.done", out);
    }
    item_done_event(a, "response.output_item.done", false, out);
    a->has_block = false;
}

static void open_item(struct answer *a, enum reply_part part, struct buf *out)
{
    close_item(a, out);
    a->n_blocks++;
    a->has_block = true;
    a->block = part;
    buf_clear(&a->item);
    buf_clear(&a->item_logprobs);
    if (part == REPLY_TOOL_NAME) {
        a->call = *open_call(a); /* its buffers are the choice's, and do not move */
        responses_make_id(a->call.is_custom ? "ctc_" : "fc_", a->item_id);
    } else {
        responses_make_id(part == REPLY_TEXT ? "msg_" : "rs_", a->item_id);
    }
    item_done_event(a, "response.output_item.added", true, out);
    if (part != REPLY_TOOL_NAME)
        part_event(a, "response.content_part.added", out);
}

static void add_logprobs(struct answer *a)
{
    const struct buf *new = &a->choices[0].logprobs[0];

    if (!a->has_block || a->block != REPLY_TEXT || new->len == 0)
        return;
    buf_puts(&a->item_logprobs, a->item_logprobs.len ? "," : "");
    buf_append(&a->item_logprobs, new->data, new->len);
}

static void add_delta(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    static const char *const types[] = {
        [REPLY_TEXT] = "response.output_text.delta",
        [REPLY_REASONING] = "response.reasoning_text.delta",
        [REPLY_TOOL_ARGUMENTS] = "response.function_call_arguments.delta",
    };

    buf_append(&a->item, delta->text, delta->n_text);
    if (delta->part == REPLY_TOOL_ARGUMENTS && a->call.is_custom)
        return; /* its text is known once the arguments are whole */
    text_event(a, types[delta->part], "delta", delta->text, delta->n_text, out);
}

void responses_events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    const bool has_call = a->has_block && a->block == REPLY_TOOL_NAME;

    if (delta->n_text == 0) {
        add_logprobs(a);
        return;
    }
    if (delta->part == REPLY_TOOL_NAME) {
        if (a->choices[0].n_calls > 0)
            open_item(a, REPLY_TOOL_NAME, out);
        return;
    }
    if (delta->part == REPLY_TOOL_ARGUMENTS) {
        if (has_call)
            add_delta(a, delta, out);
        return;
    }
    if (!a->has_block || a->block != delta->part)
        open_item(a, delta->part, out);
    add_logprobs(a);
    add_delta(a, delta, out);
}

void responses_end(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    const char *status = status_of(&a->choices[0]);
    const bool is_whole = strcmp(status, "completed") == 0;
    json_t *response;

    if (!a->has_block && a->n_blocks == 0)
        open_item(a, REPLY_TEXT, out); /* an answer without a word is a message all the same */
    close_item(a, out);
    response = response_json(a, status, a->output, usage, NULL);
    response_event(a, is_whole ? "response.completed" : "response.incomplete", response, out);
    keep(a, response);
    json_decref(response);
}

void responses_fail(struct answer *a, const struct api_error *e, struct buf *out)
{
    json_t *response = response_json(a, "failed", a->output, NULL, e);

    response_event(a, "response.failed", response, out);
    json_decref(response);
}

void responses_canceled(const struct answer *a, struct buf *out)
{
    json_t *output = a->output ? json_incref(a->output) : json_array();
    json_t *response = response_json(a, "cancelled", output, NULL, NULL);

    json_out_value(out, response);
    json_decref(response);
    json_decref(output);
}
