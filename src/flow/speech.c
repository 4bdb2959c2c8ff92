/* SPDX-License-Identifier: Apache-2.0 */
/* flow/speech.c - how a request's answers are told apart: thoughts, calls, words.
 *
 * The model's chat template says how it writes them, the request what it may
 * call, and the prompt whether the answer begins inside of thoughts.
 */
#include <string.h>

#include "flow/flow_priv.h"
#include "text/tool_grammar.h"

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

static enum status hold_calls(struct flow *f, enum tool_grammar_from from, struct err *err)
{
    const char *only = f->request.tool_choice == TOOLS_NAMED ? f->request.tool_name : NULL;
    struct buf grammar = { 0 };
    enum status s = tool_grammar(f->text->speech.tools, f->request.tools, only, from,
                                 f->request.calls_once, &grammar, err);

    if (s == ST_OK)
        f->request.grammar = buf_take(&grammar);
    if (s == ST_OK && from == TOOL_GRAMMAR_AFTER_OPEN) {
        f->request.grammar_trigger = strdup(f->text->speech.tools->open);
        if (!f->request.grammar_trigger)
            s = err_set(err, ST_NOMEM, "There is no memory.");
    }
    buf_release(&grammar);
    return s;
}

enum step flow_force_call(struct flow *f)
{
    const bool must_call =
        f->request.tool_choice == TOOLS_REQUIRED || f->request.tool_choice == TOOLS_NAMED;
    struct err err = { 0 };
    enum status s;

    if (!f->request.tools || (!must_call && !can_hold_from_mark(f)))
        return STEP_NEXT;
    if (f->request.grammar) {
        (void)api_error_set(&f->failure, API_INVALID_VALUE, "tool_choice",
                            "An answer cannot be a call and keep to another format.");
        f->has_failed = true;
        return STEP_FAIL;
    }
    s = hold_calls(f, must_call ? TOOL_GRAMMAR_WHOLE : TOOL_GRAMMAR_AFTER_OPEN, &err);
    if (s == ST_OK)
        return STEP_NEXT;
    if (s == ST_NOMEM)
        return flow_fail(f, API_OVERLOADED, &err);
    (void)api_error_set(&f->failure, API_INVALID_VALUE, "tools", "%s", err.words);
    f->has_failed = true;
    return STEP_FAIL;
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
