/* SPDX-License-Identifier: Apache-2.0 */
/* flow/speech.c - how a request's answers are told apart: thoughts, calls, words.
 *
 * The model's chat template says how it writes them, the request what it may
 * call, and the prompt whether the answer begins inside of thoughts.
 */
#include <string.h>

#include "flow/flow_priv.h"

enum { PROMPT_END_TOKENS = 16 };

/* Is the last thing that the prompt says the mark that opens thoughts? */
bool flow_begins_in_thoughts(const struct flow *f, size_t choice)
{
    const struct tokens *prompt = &f->prompts[choice / f->request.n];
    const struct thought_format *thoughts = f->text->speech.thoughts;
    const size_t first = prompt->n > PROMPT_END_TOKENS ? prompt->n - PROMPT_END_TOKENS : 0;
    struct buf end = { 0 };
    size_t n, n_open;
    bool is_open;

    if (!f->request.variables || !thoughts)
        return false;
    for (size_t i = first; i < prompt->n; i++) {
        const char *bytes = tokenizer_bytes(f->text->tokenizer, prompt->ids[i], &n);

        buf_append(&end, bytes, n);
    }
    n = end.len;
    n_open = strlen(thoughts->open);
    while (n > 0 && strchr(" \n", end.data[n - 1]))
        n--;
    is_open = n >= n_open && memcmp(end.data + n - n_open, thoughts->open, n_open) == 0;
    buf_release(&end);
    return is_open;
}

/* A call that nobody asked for is held from its mark on, where it has one and is written in JSON. */
static bool can_hold_from_mark(const struct flow *f)
{
    const struct tool_format *tools = f->text->speech.tools;

    return f->request.holds_calls && !f->request.grammar && tools->open[0] &&
           tools->body != TOOL_BODY_XML;
}

bool flow_holds_calls(const struct flow *f, enum tool_grammar_from *ret_from)
{
    const bool must_call =
        f->request.tool_choice == TOOLS_REQUIRED || f->request.tool_choice == TOOLS_NAMED;

    if (f->request.task != TASK_GENERATE || !f->request.tools ||
        (!must_call && !can_hold_from_mark(f)))
        return false;
    *ret_from = must_call ? TOOL_GRAMMAR_WHOLE : TOOL_GRAMMAR_AFTER_OPEN;
    return true;
}

void flow_speech(const struct flow *f, size_t choice, struct aggregate_options *options)
{
    if (!f->request.variables)
        return; /* a completion is given as it is */
    options->marks = &f->text->speech;
    options->calls_once = f->request.calls_once;
    options->speech = (struct speech_options){
        .thoughts = f->text->speech.thoughts,
        .tools = f->request.tools ? f->text->speech.tools : NULL,
        .functions = f->request.tools,
        .begins_in_thoughts = flow_begins_in_thoughts(f, choice),
    };
}

bool flow_has_thought_enough(const struct flow *f, const struct aggregate *aggregate)
{
    return f->request.thought_tokens_max > 0 && aggregate_is_thinking(aggregate) &&
           aggregate_n_thought_tokens(aggregate) >= f->request.thought_tokens_max;
}

enum status flow_end_of_thoughts(const struct flow *f, struct tokens *ret_tokens, struct err *err)
{
    const char *close = f->text->speech.thoughts->close;
    struct buf text = { 0 }, trusted = { 0 };
    enum status s;

    buf_printf(&text, "\n%s\n\n", close);
    for (size_t i = 0; i < text.len; i++)
        buf_putc(&trusted, 1);
    s = buf_status(&text) == ST_OK && buf_status(&trusted) == ST_OK
            ? tokenizer_encode(f->text->tokenizer, text.data, text.len,
                               (const uint8_t *)trusted.data, ret_tokens, err)
            : err_set(err, ST_NOMEM, "There is no memory.");
    buf_release(&text);
    buf_release(&trusted);
    return s;
}
