/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/prompts.c - prompts as clients write them: texts or tokens, one or several. */
#include "gateway/dialect/prompts.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/param.h"

enum { PROMPT_TOKENS_MAX = 1 << 22 };

static enum status set_text(const json_t *text, struct api_prompt *p, struct api_error *e)
{
    p->n_text = json_string_length(text);
    p->text = strdup(json_string_value(text)); /* JSON with NUL was refused */
    return p->text ? ST_OK : param_no_memory(e);
}

static enum status set_tokens(const json_t *ids, const char *name, struct api_prompt *p,
                              struct api_error *e)
{
    const size_t n = json_array_size(ids);

    if (n == 0 || n > PROMPT_TOKENS_MAX)
        return api_error_set(e, API_INVALID_VALUE, name, "A prompt must not be empty.");
    p->tokens = malloc(n * sizeof(*p->tokens));
    if (!p->tokens)
        return param_no_memory(e);
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_integer(id))
            return param_wrong_type(name, "token ids alone", id, e);
        if (json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return api_error_set(e, API_INVALID_VALUE, name, "A token id is out of range.");
        p->tokens[i] = (int32_t)json_integer_value(id);
    }
    p->n_tokens = n;
    return ST_OK;
}

static enum status set_prompt(const json_t *prompt, const char *name, struct api_prompt *p,
                              struct api_error *e)
{
    if (json_is_string(prompt))
        return set_text(prompt, p, e);
    if (json_is_array(prompt))
        return set_tokens(prompt, name, p, e);
    return param_wrong_type(name, "strings or arrays of token ids", prompt, e);
}

enum status prompts_parse(const json_t *body, const char *name, size_t n_max, struct api_request *r,
                          struct api_error *e)
{
    const json_t *prompt = param_get(body, name);
    const bool is_list = json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0));
    const size_t n = is_list ? json_array_size(prompt) : 1;
    enum status s = ST_OK;

    if (!prompt)
        return api_error_set(e, API_MISSING, name, "You must provide the parameter '%s'.", name);
    if (n == 0 || n > n_max)
        return api_error_set(e, API_INVALID_VALUE, name,
                             "'%s' must hold 1 to %zu prompts, not %zu.", name, n_max, n);
    r->prompts = calloc(n, sizeof(*r->prompts));
    if (!r->prompts)
        return param_no_memory(e);
    r->n_prompts = n;
    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = set_prompt(is_list ? json_array_get(prompt, i) : prompt, name, &r->prompts[i], e);
    return s;
}
