/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/anthropic_answer.c - Anthropic's Messages: the answer, whole and as events.
 *
 *   message_start, ping, (content_block_start, content_block_delta..., content_block_stop)...,
 *   message_delta, message_stop
 *
 * One block is open at a time.  Thoughts carry a signature, as clients keep it and give it back; it
 * is not looked at again, as thoughts are of no more weight here than other text.
 *
 * Source: Anthropic API reference, "Messages", "Streaming messages", "Errors"
 */
#include <inttypes.h>
#include <string.h>

#include "base/random.h"
#include "gateway/dialect/anthropic.h"
#include "gateway/http/anthropic_error.h"
#include "gateway/http/json_out.h"

static void write_usage(const struct reply_usage *usage, struct buf *out)
{
    buf_printf(out,
               "{\"input_tokens\":%" PRIu64
               ",\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%" PRIu64
               ",\"output_tokens\":%" PRIu64 "}",
               usage->prompt_tokens - usage->cached_tokens, usage->cached_tokens,
               usage->completion_tokens);
}

static void write_signature(struct buf *out)
{
    char digits[65];

    random_hex(digits, 32);
    buf_printf(out, "\"signature\":\"%s\"", digits);
}

static void write_reason(const struct answer_choice *c, struct buf *out)
{
    const char *reason = "end_turn";

    if (c->finish == FINISH_TOOL_CALLS)
        reason = "tool_use";
    else if (c->finish == FINISH_LENGTH)
        reason = "max_tokens";
    else if (c->stop[0])
        reason = "stop_sequence";
    buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", reason);
    if (c->stop[0])
        json_out_text(out, c->stop);
    else
        buf_puts(out, "null");
}

static void write_head(const struct answer *a, struct buf *out)
{
    buf_printf(out, "{\"id\":\"%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", a->id);
    json_out_text(out, a->model);
    buf_puts(out, ",\"content\":[");
}

static void write_call(const struct answer_call *call, struct buf *out)
{
    buf_printf(out, "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":", call->id);
    json_out_string(out, buf_text(&call->name), call->name.len);
    buf_puts(out, ",\"input\":");
}

static void comma(struct buf *out)
{
    if (out->len > 0 && out->data[out->len - 1] != '[')
        buf_putc(out, ',');
}

void anthropic_whole(const struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    const struct answer_choice *c = &a->choices[0];

    write_head(a, out);
    if (c->thoughts.len > 0) {
        buf_puts(out, "{\"type\":\"thinking\",\"thinking\":");
        json_out_string(out, buf_text(&c->thoughts), c->thoughts.len);
        buf_putc(out, ',');
        write_signature(out);
        buf_putc(out, '}');
    }
    if (c->text.len > 0) {
        comma(out);
        buf_puts(out, "{\"type\":\"text\",\"text\":");
        json_out_string(out, buf_text(&c->text), c->text.len);
        buf_putc(out, '}');
    }
    for (size_t i = 0; i < c->n_calls; i++) {
        comma(out);
        write_call(&c->calls[i], out);
        answer_arguments(&c->calls[i], out);
        buf_putc(out, '}');
    }
    buf_puts(out, "],");
    write_reason(c, out);
    buf_puts(out, ",\"usage\":");
    write_usage(usage, out);
    buf_putc(out, '}');
    if (c->text.failed || c->thoughts.failed)
        out->failed = true;
}

static void event_begin(const char *type, struct buf *out)
{
    buf_printf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void event_end(struct buf *out)
{
    buf_puts(out, "}\n\n");
}

void anthropic_begin(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    event_begin("message_start", out);
    buf_puts(out, ",\"message\":");
    write_head(a, out);
    buf_puts(out, "],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
    write_usage(usage, out);
    buf_putc(out, '}');
    event_end(out);
    buf_puts(out, a->dialect->keep_alive);
}

static void block_event(const struct answer *a, const char *type, struct buf *out)
{
    event_begin(type, out);
    buf_printf(out, ",\"index\":%u", a->n_blocks - 1);
}

static void close_block(struct answer *a, struct buf *out)
{
    if (!a->has_block)
        return;
    if (a->block == REPLY_REASONING) {
        block_event(a, "content_block_delta", out);
        buf_puts(out, ",\"delta\":{\"type\":\"signature_delta\",");
        write_signature(out);
        buf_putc(out, '}');
        event_end(out);
    }
    block_event(a, "content_block_stop", out);
    event_end(out);
    a->has_block = false;
}

static void open_block(struct answer *a, enum reply_part part, struct buf *out)
{
    const struct answer_choice *c = &a->choices[0];

    close_block(a, out);
    a->n_blocks++;
    a->has_block = true;
    a->block = part;
    block_event(a, "content_block_start", out);
    buf_puts(out, ",\"content_block\":");
    if (part == REPLY_TEXT) {
        buf_puts(out, "{\"type\":\"text\",\"text\":\"\"}");
    } else if (part == REPLY_REASONING) {
        buf_puts(out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    } else {
        write_call(&c->calls[c->n_calls - 1], out);
        buf_puts(out, "{}}");
    }
    event_end(out);
}

static void write_delta(const struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    static const char *const heads[] = {
        [REPLY_TEXT] = "\"text_delta\",\"text\":",
        [REPLY_REASONING] = "\"thinking_delta\",\"thinking\":",
        [REPLY_TOOL_ARGUMENTS] = "\"input_json_delta\",\"partial_json\":",
    };

    block_event(a, "content_block_delta", out);
    buf_printf(out, ",\"delta\":{\"type\":%s", heads[delta->part]);
    json_out_string(out, delta->text, delta->n_text);
    buf_putc(out, '}');
    event_end(out);
}

void anthropic_events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    const bool has_call = a->choices[0].n_calls > 0;

    if (delta->n_text == 0)
        return;
    if (delta->part == REPLY_TOOL_NAME && has_call) {
        open_block(a, REPLY_TOOL_NAME, out);
        return;
    }
    if (delta->part == REPLY_TEXT || delta->part == REPLY_REASONING) {
        if (!a->has_block || a->block != delta->part)
            open_block(a, delta->part, out);
    } else if (!has_call) {
        return;
    }
    write_delta(a, delta, out);
}

void anthropic_end(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    close_block(a, out);
    event_begin("message_delta", out);
    buf_puts(out, ",\"delta\":{");
    write_reason(&a->choices[0], out);
    buf_puts(out, "},\"usage\":");
    write_usage(usage, out);
    event_end(out);
    event_begin("message_stop", out);
    event_end(out);
}

void anthropic_fail(struct answer *a, const struct api_error *e, struct buf *out)
{
    (void)a;
    buf_puts(out, "event: error\ndata: ");
    anthropic_errors.render(e, NULL, out);
    buf_puts(out, "\n\n");
}
