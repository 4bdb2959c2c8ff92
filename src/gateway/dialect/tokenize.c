/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/tokenize.c - text to tokens and back, without an answer being generated.
 *
 * The keys of two servers' clients are read: llama.cpp's ("content", "add_special") and vLLM's
 * ("prompt", "add_special_tokens").  The answers have both servers' keys.
 *
 * Source: llama.cpp server README, "POST /tokenize"; vLLM documentation, "Tokenizer API"
 */
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/messages.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/prompts.h"
#include "gateway/dialect/tools.h"

static enum status parse_model(const json_t *body, struct api_request *r, struct api_error *e)
{
    return param_text(body, "model", r->model, sizeof(r->model), e);
}

static enum status parse_conversation(const json_t *body, struct api_request *r,
                                      struct api_error *e)
{
    const enum status s = messages_parse(body, r, e);

    return s == ST_OK ? tools_parse(body, r, e) : s;
}

static enum status parse_text_or_messages(const json_t *body, struct api_request *r,
                                          struct api_error *e)
{
    const char *name = param_get(body, "prompt") ? "prompt" : "content";

    if (param_get(body, "messages"))
        return parse_conversation(body, r, e);
    if (!json_is_string(param_get(body, name)))
        return api_error_set(e, API_INVALID_TYPE, name, "'%s' must be a string.", name);
    return prompts_parse(body, name, 1, r, e);
}

static enum status parse_tokenize(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = parse_model(body, r, e);

    r->task = TASK_TOKENIZE;
    r->parses_special = true;
    r->adds_special = param_get(body, "prompt") != NULL;
    if (s == ST_OK)
        s = parse_text_or_messages(body, r, e);
    if (s == ST_OK)
        s = param_bool(body, "add_special", &r->adds_special, e);
    if (s == ST_OK)
        s = param_bool(body, "add_special_tokens", &r->adds_special, e);
    if (s == ST_OK)
        s = param_bool(body, "parse_special", &r->parses_special, e);
    if (s == ST_OK)
        s = param_bool(body, "with_pieces", &r->with_pieces, e);
    return s == ST_OK ? param_bool(body, "return_token_strs", &r->with_pieces, e) : s;
}

static enum status parse_detokenize(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *tokens = param_get(body, "tokens");
    enum status s = parse_model(body, r, e);

    r->task = TASK_DETOKENIZE;
    if (s != ST_OK)
        return s;
    if (!json_is_array(tokens) ||
        (json_array_size(tokens) > 0 && !json_is_integer(json_array_get(tokens, 0))))
        return api_error_set(e, API_INVALID_TYPE, "tokens", "'tokens' must be token ids.");
    return prompts_parse(body, "tokens", 1, r, e);
}

static enum status parse_template(const json_t *body, struct api_request *r, struct api_error *e)
{
    const enum status s = parse_model(body, r, e);

    r->task = TASK_TEMPLATE;
    return s == ST_OK ? parse_conversation(body, r, e) : s;
}

static enum status parse_count(const json_t *body, struct api_request *r, struct api_error *e)
{
    const enum status s = openai_chat.parse(body, r, e);

    r->task = TASK_COUNT;
    return s;
}

const struct dialect tokenize = { .name = "tokenize", .parse = parse_tokenize };
const struct dialect detokenize = { .name = "detokenize", .parse = parse_detokenize };
const struct dialect apply_template = { .name = "apply-template", .parse = parse_template };
const struct dialect count_input_tokens = { .name = "input_tokens",
                                            .object = "chat.completion.input_tokens",
                                            .parse = parse_count };
