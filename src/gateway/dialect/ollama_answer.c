/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/ollama_answer.c - answers in Ollama's shape: a line of JSON for each piece.
 *
 * A call of a function is told whole, once its arguments are complete.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "gateway/dialect/answer.h"
#include "gateway/dialect/logprobs.h"
#include "gateway/dialect/ollama.h"
#include "gateway/dialect/ollama_priv.h"
#include "gateway/dialect/vectors.h"
#include "gateway/http/json_out.h"

static bool is_chat(const struct dialect *dialect)
{
    return dialect == &ollama_chat;
}

static void open_line(const char *model, struct buf *out)
{
    char when[OLLAMA_TIME_MAX];

    ollama_time(0, when);
    buf_puts(out, "{\"model\":");
    json_out_text(out, model);
    buf_printf(out, ",\"created_at\":\"%s\",", when);
}

static void write_calls(const struct answer_call *calls, size_t n, struct buf *out)
{
    if (n == 0)
        return;
    buf_puts(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < n; i++) {
        const struct answer_call *c = &calls[i];

        buf_printf(out, "%s{\"id\":\"%s\",\"function\":{\"index\":%zu,\"name\":", i ? "," : "",
                   c->id, i);
        json_out_string(out, buf_text(&c->name), c->name.len);
        buf_puts(out, ",\"arguments\":");
        answer_arguments(c, out);
        buf_puts(out, "}}");
    }
    buf_putc(out, ']');
}

/* The text of a chat's message, or of a response. */
static void write_text(bool in_message, const char *text, size_t n, const char *thoughts,
                       size_t n_thoughts, struct buf *out)
{
    buf_puts(out,
             in_message ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"response\":");
    json_out_string(out, text, n);
    if (n_thoughts > 0) {
        buf_puts(out, ",\"thinking\":");
        json_out_string(out, thoughts, n_thoughts);
    }
}

static void write_logprobs(const struct answer_choice *c, struct buf *out)
{
    if (c->wants_logprobs && c->logprobs[0].len > 0)
        buf_printf(out, ",\"logprobs\":[%s]", buf_text(&c->logprobs[0]));
}

static uint64_t since(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? to_ns - from_ns : 0;
}

static void write_end(const struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    const uint64_t now_ns = clock_ns(), first_ns = a->first_ns ? a->first_ns : now_ns;

    buf_printf(out,
               ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%" PRIu64
               ",\"load_duration\":0,\"prompt_eval_count\":%" PRIu64
               ",\"prompt_eval_duration\":%" PRIu64 ",\"eval_count\":%" PRIu64
               ",\"eval_duration\":%" PRIu64 "}",
               a->choices[0].finish == FINISH_LENGTH ? "length" : "stop",
               since(a->begun_ns, now_ns), usage->prompt_tokens, since(a->begun_ns, first_ns),
               usage->completion_tokens, since(first_ns, now_ns));
}

static void whole(const struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    const struct answer_choice *c = &a->choices[0];
    const bool in_message = is_chat(a->dialect);

    open_line(a->model, out);
    write_text(in_message, buf_text(&c->text), c->text.len, buf_text(&c->thoughts), c->thoughts.len,
               out);
    if (in_message) {
        write_calls(c->calls, c->n_calls, out);
        buf_putc(out, '}');
    }
    write_logprobs(c, out);
    write_end(a, usage, out);
    if (buf_status(&c->text) != ST_OK || buf_status(&c->thoughts) != ST_OK)
        out->failed = true;
}

static void events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    const bool is_text = delta->part == REPLY_TEXT, in_message = is_chat(a->dialect);

    if (delta->n_text == 0 || (!is_text && delta->part != REPLY_REASONING))
        return;
    open_line(a->model, out);
    write_text(in_message, is_text ? delta->text : "", is_text ? delta->n_text : 0, delta->text,
               is_text ? 0 : delta->n_text, out);
    buf_puts(out, in_message ? "}" : "");
    write_logprobs(&a->choices[0], out);
    buf_puts(out, ",\"done\":false}\n");
}

static void end(struct answer *a, const struct reply_usage *usage, struct buf *out)
{
    const struct answer_choice *c = &a->choices[0];
    const bool in_message = is_chat(a->dialect);

    if (in_message && c->n_calls > 0) {
        open_line(a->model, out);
        write_text(true, "", 0, "", 0, out);
        write_calls(c->calls, c->n_calls, out);
        buf_puts(out, "},\"done\":false}\n");
    }
    open_line(a->model, out);
    write_text(in_message, "", 0, "", 0, out);
    buf_puts(out, in_message ? "}" : "");
    write_end(a, usage, out);
    buf_putc(out, '\n');
}

static void fail(struct answer *a, const struct api_error *e, struct buf *out)
{
    (void)a;
    ollama_render_error(e, out);
    buf_putc(out, '\n');
}

static void loaded(const struct api_request *r, const char *model, struct buf *out)
{
    open_line(model, out);
    write_text(is_chat(r->dialect), "", 0, "", 0, out);
    buf_puts(out, is_chat(r->dialect) ? "}" : "");
    buf_printf(out, ",\"done\":true,\"done_reason\":\"%s\"}", r->makes_none ? "unload" : "load");
}

static void embed(const struct api_request *r, const struct reply_vectors *v, struct buf *out)
{
    (void)r;
    buf_puts(out, "{\"model\":");
    json_out_text(out, v->model);
    buf_puts(out, ",\"embeddings\":[");
    for (size_t i = 0; i < v->n_rows; i++) {
        buf_puts(out, i ? "," : "");
        vector_write(v->rows + i * v->n_dims, v->n_dims, out);
    }
    buf_printf(out,
               "],\"total_duration\":%" PRIu64 ",\"load_duration\":0,\"prompt_eval_count\":%" PRIu64
               "}",
               v->total_ns, v->prompt_tokens);
}

static void embeddings(const struct api_request *r, const struct reply_vectors *v, struct buf *out)
{
    (void)r;
    buf_puts(out, "{\"embedding\":");
    vector_write(v->rows, v->n_dims, out);
    buf_putc(out, '}');
}

#define GENERATES(name_, parse_)                                                                   \
    {                                                                                              \
        .name = (name_), .id_prefix = "", .parse = (parse_),                                       \
        .content_type = "application/x-ndjson", .whole = whole, .events = events, .end = end,      \
        .fail = fail, .loaded = loaded, .keep_alive = "", .keeps_text = true,                      \
        .collect = logprobs_collect,                                                               \
    }

const struct dialect ollama_chat = GENERATES("ollama chat", ollama_parse_chat);
const struct dialect ollama_generate = GENERATES("ollama generate", ollama_parse_generate);

const struct dialect ollama_embed = { .name = "ollama embed",
                                      .parse = ollama_parse_embed,
                                      .vectors = embed };
const struct dialect ollama_embeddings = { .name = "ollama embeddings",
                                           .parse = ollama_parse_embed,
                                           .vectors = embeddings };
