/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/openai_completions.c - OpenAI's legacy completions.
 *
 * Logprobs have a shape of their own here: four lists side by side.
 *
 * Source: OpenAI API reference, "Completions"
 */
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "base/utf8.h"
#include "gateway/dialect/answer.h"
#include "gateway/dialect/common.h"
#include "gateway/dialect/prompts.h"
#include "gateway/http/json_out.h"
#include "text/json_whole.h"

enum { DEFAULT_TOKENS = 16 }; /* the API's default of max_tokens */

/* best_of more than n would generate answers that nobody sees. */
static bool is_n_at_most(const json_t *value, const json_t *body)
{
    const json_t *n = param_get(body, "n");

    return json_is_integer(value) && json_integer_value(value) >= 1 &&
           json_integer_value(value) <= (json_is_integer(n) ? json_integer_value(n) : 1);
}

static const struct refused_param refused[] = {
    { "best_of", is_n_at_most, "It must not be more than 'n'." },
};

static enum status parse_logprobs(const json_t *body, struct api_request *r, struct api_error *e)
{
    r->sampling.wants_logprobs = param_get(body, "logprobs") != NULL;
    return param_u32(body, "logprobs", 0, REQUEST_TOP_LOGPROBS_MAX, &r->sampling.n_top_logprobs, e);
}

/* max_tokens 0 is only of use with echo: the prompt's own logprobs. */
static enum status parse_echo(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *most = param_get(body, "max_tokens");
    enum status s = param_bool(body, "echo", &r->echoes, e);

    if (s != ST_OK)
        return s;
    r->makes_none = r->echoes && json_is_integer(most) && json_integer_value(most) == 0;
    return ST_OK;
}

static enum status parse_suffix(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *suffix = param_get(body, "suffix");

    if (!suffix || (json_is_string(suffix) && json_string_length(suffix) == 0))
        return ST_OK;
    if (!json_is_string(suffix))
        return param_wrong_type("suffix", "a string", suffix, e);
    if (r->echoes)
        return api_error_set(e, API_UNSUPPORTED, "echo",
                             "'echo' and 'suffix' cannot be asked for together.");
    for (size_t i = 0; i < r->n_prompts; i++) {
        if (!r->prompts[i].text)
            return api_error_set(e, API_UNSUPPORTED, "suffix", "'suffix' needs prompts of text.");
    }
    r->suffix = strdup(json_string_value(suffix));
    return r->suffix ? ST_OK : param_no_memory(e);
}

/* As common_parse() does not know of none: with one token, which is not asked for then. */
static enum status parse_shared(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *copy;
    enum status s;

    if (!r->makes_none)
        return common_parse(body, r, e);
    copy = json_whole_copy(body);
    if (!copy || json_object_del(copy, "max_tokens") != 0) {
        json_decref(copy);
        return param_no_memory(e);
    }
    s = common_parse(copy, r, e);
    json_decref(copy);
    return s;
}

static enum status parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = refuse_params(body, refused, ARRAY_LEN(refused), e);

    r->max_tokens = DEFAULT_TOKENS;
    if (s == ST_OK)
        s = parse_echo(body, r, e);
    if (s == ST_OK)
        s = parse_shared(body, r, e);
    if (s == ST_OK)
        s = parse_logprobs(body, r, e);
    if (s == ST_OK)
        s = prompts_parse(body, "prompt", REQUEST_PROMPTS_MAX, r, e);
    return s == ST_OK ? parse_suffix(body, r, e) : s;
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
        if (isnan(logprobs[i].chosen.logprob)) {
            buf_puts(&c->logprobs[TOKEN_LOGPROBS], "null");
            buf_puts(&c->logprobs[TOP_LOGPROBS], "null");
        } else {
            json_out_logprob(&c->logprobs[TOKEN_LOGPROBS], logprobs[i].chosen.logprob);
            write_top(&logprobs[i], &c->logprobs[TOP_LOGPROBS]);
        }
        buf_printf(&c->logprobs[TEXT_OFFSET], "%zu", c->n_characters);
        c->n_characters += utf8_count(logprobs[i].chosen.bytes, logprobs[i].chosen.n_bytes);
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

static void silent(struct answer *a, uint32_t choice, struct buf *out)
{
    (void)a;
    buf_printf(out, "{\"index\":%u,\"text\":\"\",\"logprobs\":null,\"finish_reason\":null}",
               choice);
}

const struct dialect openai_completions = {
    .name = "openai completions",
    .id_prefix = "cmpl-",
    .object = "text_completion",
    .chunk = "text_completion",
    .parse = parse,
    .choice = choice,
    .events = events,
    .silent = silent,
    .collect = collect,
};
