/* SPDX-License-Identifier: Apache-2.0 */
/* flow/prompt_reply.c - answers that need a model's words alone: tokens, text, counts.
 *
 * No instance is asked, so they come before a model is placed, and cost no place in a queue.
 */
#include "flow/flow_priv.h"
#include "gateway/http/json_out.h"

static void write_piece(const struct tokenizer *tokenizer, int32_t token, struct buf *out)
{
    size_t n;
    const char *bytes = tokenizer_bytes(tokenizer, token, &n);

    json_out_string(out, bytes, n);
}

static void write_token(const struct flow *f, int32_t token, struct buf *out)
{
    if (!f->request.with_pieces) {
        buf_printf(out, "%d", token);
        return;
    }
    buf_printf(out, "{\"id\":%d,\"piece\":", token);
    write_piece(f->text->tokenizer, token, out);
    buf_putc(out, '}');
}

static void write_tokens(const struct flow *f, struct buf *out)
{
    const struct tokens *t = &f->prompts[0];

    buf_puts(out, "{\"tokens\":[");
    for (size_t i = 0; i < t->n; i++) {
        if (i > 0)
            buf_putc(out, ',');
        write_token(f, t->ids[i], out);
    }
    buf_printf(out, "],\"count\":%zu,\"max_model_len\":%u", t->n, f->model.context_tokens);
    if (f->request.with_pieces) {
        buf_puts(out, ",\"token_strs\":[");
        for (size_t i = 0; i < t->n; i++) {
            if (i > 0)
                buf_putc(out, ',');
            write_piece(f->text->tokenizer, t->ids[i], out);
        }
        buf_putc(out, ']');
    }
    buf_putc(out, '}');
}

/* Special tokens are shown: nothing of what was given is left out. */
static void write_text(const struct flow *f, struct buf *out)
{
    const struct tokens *t = &f->prompts[0];
    struct buf text = { 0 };

    for (size_t i = 0; i < t->n; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(f->text->tokenizer, t->ids[i], &n);

        buf_append(&text, bytes, n);
    }
    buf_puts(out, "{\"content\":");
    json_out_string(out, buf_text(&text), text.len);
    buf_puts(out, ",\"prompt\":");
    json_out_string(out, buf_text(&text), text.len);
    buf_putc(out, '}');
    if (buf_status(&text) != ST_OK)
        out->failed = true;
    buf_release(&text);
}

static void write_prompt(const struct flow *f, struct buf *out)
{
    buf_puts(out, "{\"prompt\":");
    json_out_string(out, buf_text(&f->rendered), f->rendered.len);
    buf_putc(out, '}');
}

static void write_count(const struct flow *f, struct buf *out)
{
    const char *object = f->request.dialect->object; /* some APIs name it */

    buf_putc(out, '{');
    if (object)
        buf_printf(out, "\"object\":\"%s\",", object);
    buf_printf(out, "\"input_tokens\":%zu}", f->prompts[0].n);
}

static void write_loaded(const struct flow *f, struct buf *out)
{
    f->request.dialect->loaded(&f->request, f->model.name, out);
}

void flow_tell_prompt(struct flow *f)
{
    static void (*const writers[])(const struct flow *, struct buf *) = {
        [TASK_TOKENIZE] = write_tokens, [TASK_DETOKENIZE] = write_text,
        [TASK_TEMPLATE] = write_prompt, [TASK_COUNT] = write_count,
        [TASK_LOAD] = write_loaded,
    };
    struct buf body = { 0 };

    writers[f->request.task](f, &body);
    exchange_on_close(f->x, NULL, NULL);
    exchange_reply(f->x, 200, "application/json", &body);
}
