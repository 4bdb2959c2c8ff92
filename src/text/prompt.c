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

static size_t without_space(const char *text, size_t n)
{
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    return n;
}

/* Behind the last place where `text` has `part`; 0: it has none. */
static size_t end_of_last(const struct buf *text, const char *part, size_t n_part)
{
    for (size_t end = text->len; n_part > 0 && end >= n_part; end--) {
        if (memcmp(text->data + end - n_part, part, n_part) == 0)
            return end;
    }
    return 0;
}

/* What the template puts behind the last message is left out; and space at its end, which templates
 * trim, or which makes a model stumble. */
static enum status cut_behind_last(const json_t *messages, struct rendered *rendered,
                                   struct err *err)
{
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const json_t *content = json_object_get(last, "content");
    const char *text = json_string_value(content);
    const size_t n = text ? without_space(text, json_string_length(content)) : 0;
    const size_t end = end_of_last(&rendered->text, text, n);

    if (end == 0)
        return err_set(err, ST_FORMAT, "the last message cannot be gone on with");
    rendered->text.len = end;
    rendered->trusted.len = end;
    rendered->text.data[end] = '\0';
    return ST_OK;
}

enum status prompt_render(const struct template *template, const json_t *trusted,
                          const json_t *variables, struct rendered *ret_rendered, struct err *err)
{
    enum status s = template_render(template, trusted, variables, ret_rendered, err);

    if (s != ST_OK || !json_is_true(json_object_get(variables, "continue_final_message")))
        return s;
    s = cut_behind_last(json_object_get(variables, "messages"), ret_rendered, err);
    if (s != ST_OK)
        rendered_release(ret_rendered);
    return s;
}

enum status prompt_chat(const struct tokenizer *tokenizer, const struct template *template,
                        const json_t *trusted, const json_t *variables, struct tokens *ret_tokens,
                        struct err *err)
{
    struct rendered rendered = { 0 };
    enum status s;

    s = prompt_render(template, trusted, variables, &rendered, err);
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

/* The tokens that model families use: before the prefix, before the suffix, before the middle. */
static const char *const infill_tokens[][3] = {
    { "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>" },
    { "<fim_prefix>", "<fim_suffix>", "<fim_middle>" },
    { "<fim-prefix>", "<fim-suffix>", "<fim-middle>" },
    { "<\xef\xbd\x9c"
      "fim\xe2\x96\x81"
      "begin\xef\xbd\x9c>",
      "<\xef\xbd\x9c"
      "fim\xe2\x96\x81"
      "hole\xef\xbd\x9c>",
      "<\xef\xbd\x9c"
      "fim\xe2\x96\x81"
      "end\xef\xbd\x9c>" },
};

enum { INFILL_NAME_MAX = 32 };

/* The special token of that text.  False: there is none. */
static bool add_named(const struct tokenizer *tokenizer, const char *name, struct tokens *tokens,
                      struct err *err)
{
    const size_t n_before = tokens->n;
    uint8_t trusted[INFILL_NAME_MAX];

    memset(trusted, 1, sizeof(trusted));
    return tokenizer_encode(tokenizer, name, strlen(name), trusted, tokens, err) == ST_OK &&
           tokens->n == n_before + 1 &&
           tokenizer_kind(tokenizer, tokens->ids[n_before]) != TOKEN_NORMAL;
}

enum status prompt_infill(const struct tokenizer *tokenizer, const char *prefix, size_t n_prefix,
                          const char *suffix, size_t n_suffix, struct tokens *ret_tokens,
                          struct err *err)
{
    for (size_t i = 0; i < sizeof(infill_tokens) / sizeof(infill_tokens[0]); i++) {
        const char *const *names = infill_tokens[i];

        ret_tokens->n = 0;
        if (!add_named(tokenizer, names[0], ret_tokens, err))
            continue;
        if (tokenizer_encode(tokenizer, prefix, n_prefix, NULL, ret_tokens, err) == ST_OK &&
            add_named(tokenizer, names[1], ret_tokens, err) &&
            tokenizer_encode(tokenizer, suffix, n_suffix, NULL, ret_tokens, err) == ST_OK &&
            add_named(tokenizer, names[2], ret_tokens, err))
            return add_bos(tokenizer, ret_tokens, err);
    }
    ret_tokens->n = 0;
    return err_set(err, ST_UNSUPPORTED, "it has no tokens for a text with a gap");
}
