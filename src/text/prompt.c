/* SPDX-License-Identifier: Apache-2.0 */
/* text/prompt.c - conversations and plain text as tokens. */
#include "text/prompt.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool add_special(json_t *trusted, const char *name, const struct tokenizer *tokenizer,
                        int32_t token)
{
    size_t n = 0;
    const char *bytes = tokenizer_bytes(tokenizer, token, &n);

    /* A token that is not UTF-8 is no use in a template. */
    return json_object_set_new(trusted, name, json_stringn(n ? bytes : "", n)) == 0 ||
           json_object_set_new(trusted, name, json_string("")) == 0;
}

json_t *prompt_trusted(const struct tokenizer *tokenizer)
{
    json_t *trusted = json_object();

    if (trusted && add_special(trusted, "bos_token", tokenizer, tokenizer_bos(tokenizer)) &&
        add_special(trusted, "eos_token", tokenizer, tokenizer_eos(tokenizer)))
        return trusted;
    json_decref(trusted);
    return NULL;
}

/* The beginning-of-text token, unless the template wrote it. */
static enum status add_bos(const struct tokenizer *tokenizer, struct tokens *tokens,
                           struct err *err)
{
    const int32_t bos = tokenizer_bos(tokenizer);
    int32_t *grown;

    if (bos == TOKEN_NONE || (tokens->n > 0 && tokens->ids[0] == bos))
        return ST_OK;
    if (tokens->n > 0 && !tokenizer_adds_bos(tokenizer))
        return ST_OK;
    grown = realloc(tokens->ids, (tokens->n + 1) * sizeof(*grown));
    if (!grown)
        return err_set(err, ST_NOMEM, "tokenise the prompt");
    memmove(grown + 1, grown, tokens->n * sizeof(*grown));
    grown[0] = bos;
    tokens->ids = grown;
    tokens->capacity = ++tokens->n;
    return ST_OK;
}

enum status prompt_chat(const struct tokenizer *tokenizer, const struct template *template,
                        const json_t *trusted, const json_t *variables, struct tokens *ret_tokens,
                        struct err *err)
{
    struct rendered rendered = { 0 };
    enum status s;

    s = template_render(template, trusted, variables, &rendered, err);
    if (s == ST_OK)
        s = tokenizer_encode(tokenizer, buf_text(&rendered.text), rendered.text.len,
                             (const uint8_t *)buf_text(&rendered.trusted), ret_tokens, err);
    rendered_release(&rendered);
    return s == ST_OK ? add_bos(tokenizer, ret_tokens, err) : s;
}

enum status prompt_plain(const struct tokenizer *tokenizer, const char *text, size_t n_text,
                         struct tokens *ret_tokens, struct err *err)
{
    const enum status s = tokenizer_encode(tokenizer, text, n_text, NULL, ret_tokens, err);

    return s == ST_OK ? add_bos(tokenizer, ret_tokens, err) : s;
}
