/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/openai_completions.c - OpenAI's legacy completions.
 *
 * Logprobs have a shape of their own here: four lists side by side.
 *
 * Source: OpenAI API reference, "Completions"
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/answer.h"
#include "gateway/dialect/common.h"
#include "gateway/http/json_out.h"

enum {
    DEFAULT_TOKENS = 16, /* the API's default of max_tokens */
    PROMPT_TOKENS_MAX = 1 << 22,
};

/* best_of more than n would generate answers that nobody sees. */
static bool is_n_at_most(const json_t *value, const json_t *body)
{
    const json_t *n = param_get(body, "n");

    return json_is_integer(value) && json_integer_value(value) >= 1 &&
           json_integer_value(value) <= (json_is_integer(n) ? json_integer_value(n) : 1);
}

static const struct refused_param refused[] = {
    { "suffix", is_empty_value, "Text is only continued: leave it out." },
    { "echo", is_false_value, "The prompt is not repeated: leave it out." },
    { "best_of", is_n_at_most, "It must not be more than 'n'." },
};

static enum status set_text(const json_t *text, struct api_prompt *p, struct api_error *e)
{
    p->n_text = json_string_length(text);
    p->text = strdup(json_string_value(text)); /* JSON with NUL was refused */
    return p->text ? ST_OK : param_no_memory(e);
}

static enum status set_tokens(const json_t *ids, struct api_prompt *p, struct api_error *e)
{
    const size_t n = json_array_size(ids);

    if (n == 0 || n > PROMPT_TOKENS_MAX)
        return api_error_set(e, API_INVALID_VALUE, "prompt", "A prompt must not be empty.");
    p->tokens = malloc(n * sizeof(*p->tokens));
    if (!p->tokens)
        return param_no_memory(e);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_integer(id))
            return param_wrong_type("prompt", "token ids alone", id, e);
        if (json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return api_error_set(e, API_INVALID_VALUE, "prompt", "A token id is out of range.");
        p->tokens[i] = (int32_t)json_integer_value(id);
    }
    p->n_tokens = n;
    return ST_OK;
}

static enum status set_prompt(const json_t *prompt, struct api_prompt *p, struct api_error *e)
{
    if (json_is_string(prompt))
        return set_text(prompt, p, e);
    if (json_is_array(prompt))
        return set_tokens(prompt, p, e);
    return param_wrong_type("prompt", "strings or arrays of token ids", prompt, e);
}

/* A string, [strings], [token ids] or [[token ids]]. */
static enum status parse_prompt(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *prompt = param_get(body, "prompt");
    const bool is_list = json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0));
    const size_t n = is_list ? json_array_size(prompt) : 1;
    enum status s = ST_OK;

    if (!prompt)
        return api_error_set(e, API_MISSING, "prompt", "You must provide a prompt parameter.");
    if (n == 0 || n > REQUEST_PROMPTS_MAX)
        return api_error_set(e, API_INVALID_VALUE, "prompt",
                             "'prompt' must hold 1 to %d prompts, not %zu.", REQUEST_PROMPTS_MAX,
                             n);
    r->prompts = calloc(n, sizeof(*r->prompts));
    if (!r->prompts)
        return param_no_memory(e);
    r->n_prompts = n;
    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = set_prompt(is_list ? json_array_get(prompt, i) : prompt, &r->prompts[i], e);
    return s;
}

static enum status parse_logprobs(const json_t *body, struct api_request *r, struct api_error *e)
{
    r->sampling.wants_logprobs = param_get(body, "logprobs") != NULL;
    return param_u32(body, "logprobs", 0, REQUEST_TOP_LOGPROBS_MAX, &r->sampling.n_top_logprobs, e);
}

static enum status parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = refuse_params(body, refused, ARRAY_LEN(refused), e);

    r->max_tokens = DEFAULT_TOKENS;
    if (s == ST_OK)
        s = common_parse(body, r, e);
    if (s == ST_OK)
        s = parse_logprobs(body, r, e);
    if (s == ST_OK)
        s = parse_prompt(body, r, e);
    return s;
}

static bool is_utf8(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t len = utf8_sequence(bytes + i, n - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* A token that is part of a character is written by its bytes, so that two
 * of them stay two keys of an object. */
static void write_token(const struct reply_candidate *c, struct buf *out)
{
    if (is_utf8(c->bytes, c->n_bytes)) {
        json_out_string(out, c->bytes, c->n_bytes);
        return;
    }
    buf_puts(out, "\"bytes:");
    for (size_t i = 0; i < c->n_bytes; i++)
        buf_printf(out, "\\\\x%02x", (unsigned char)c->bytes[i]);
    buf_putc(out, '"');
}

static size_t count_characters(const struct reply_candidate *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_bytes; i++)
        n += ((unsigned char)c->bytes[i] & 0xC0) != 0x80;
    return n;
}

static void write_top(const struct reply_logprob *l, struct buf *out)
{
    bool has_chosen = false;

    buf_putc(out, '{');
    for (size_t i = 0; i < l->n_top; i++) {
        has_chosen = has_chosen || l->top[i].token == l->chosen.token;
        if (i > 0)
            buf_putc(out, ',');
        write_token(&l->top[i], out);
        buf_putc(out, ':');
        json_out_logprob(out, l->top[i].logprob);
    }
    if (!has_chosen) {
        if (l->n_top > 0)
            buf_putc(out, ',');
        write_token(&l->chosen, out);
        buf_putc(out, ':');
        json_out_logprob(out, l->chosen.logprob);
    }
    buf_putc(out, '}');
}

enum { TOKENS, TOKEN_LOGPROBS, TOP_LOGPROBS, TEXT_OFFSET };

static void collect(struct answer_choice *c, const struct reply_logprob *logprobs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const bool is_first = c->logprobs[TOKENS].len == 0;

        for (size_t k = 0; k < LOGPROB_LISTS && !is_first; k++)
            buf_putc(&c->logprobs[k], ',');
        write_token(&logprobs[i].chosen, &c->logprobs[TOKENS]);
        json_out_logprob(&c->logprobs[TOKEN_LOGPROBS], logprobs[i].chosen.logprob);
        write_top(&logprobs[i], &c->logprobs[TOP_LOGPROBS]);
        buf_printf(&c->logprobs[TEXT_OFFSET], "%zu", c->n_characters);
        c->n_characters += count_characters(&logprobs[i].chosen);
    }
}

static void write_logprobs(const struct answer_choice *c, struct buf *out)
{
    static const char *const keys[LOGPROB_LISTS] = {
        [TOKENS] = "{\"tokens\":[",
        [TOKEN_LOGPROBS] = "],\"token_logprobs\":[",
        [TOP_LOGPROBS] = "],\"top_logprobs\":[",
        [TEXT_OFFSET] = "],\"text_offset\":[",
    };

    if (!c->wants_logprobs) {
        buf_puts(out, "null");
        return;
    }
    for (size_t i = 0; i < LOGPROB_LISTS; i++) {
        buf_puts(out, keys[i]);
        buf_puts(out, buf_text(&c->logprobs[i]));
    }
    buf_puts(out, "]}");
}

static void choice(const struct answer_choice *c, uint32_t index, struct buf *out)
{
    buf_printf(out, "{\"index\":%u,\"text\":", index);
    json_out_string(out, buf_text(&c->text), c->text.len);
    buf_puts(out, ",\"logprobs\":");
    write_logprobs(c, out);
    buf_puts(out, ",\"finish_reason\":");
    answer_finish_word(c->finish, out);
    buf_putc(out, '}');
}

static void events(struct answer *a, const struct reply_delta *delta, struct buf *out)
{
    answer_event_begin(a, out);
    buf_printf(out, "{\"index\":%u,\"text\":", delta->choice);
    json_out_string(out, delta->text, delta->n_text);
    buf_puts(out, ",\"logprobs\":");
    write_logprobs(&a->choices[delta->choice], out);
    buf_puts(out, ",\"finish_reason\":");
    answer_finish_word(delta->finish, out);
    buf_putc(out, '}');
    answer_event_end(a, delta, out);
}

const struct dialect openai_completions = {
    .name = "openai completions",
    .id_prefix = "cmpl-",
    .object = "text_completion",
    .chunk = "text_completion",
    .parse = parse,
    .choice = choice,
    .events = events,
    .collect = collect,
};
