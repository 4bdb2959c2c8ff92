/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/text.c - tokenizer.json and the chat template, as a GGUF file's metadata.
 *
 * Byte-level BPE only: other kinds of tokenizers, and steps before or after it that would change
 * the tokens, are refused by name.
 *
 * Source  the Hugging Face tokenizers library, its serialised form; transformers,
 *         tokenizer_config.json; ggml repository, docs/gguf.md, "Tokenizer"
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "model/convert/convert_priv.h"
#include "text/tokenizer/tokenizer.h"

enum { TEMPLATE_BYTES_MAX = 4 << 20, PIECE_BYTES_MAX = 65535 };

/* The pieces of all ids while the head is written; texts are borrowed from the JSON. */
struct vocabulary {
    const char **pieces; /* [n]; NULL: an id without one */
    size_t *lengths;     /* [n] */
    int32_t *kinds;      /* [n] */
    size_t n;
};

static void vocabulary_release(struct vocabulary *v)
{
    free(v->pieces);
    free(v->lengths);
    free(v->kinds);
}

static enum status set_piece(struct vocabulary *v, const char *text, size_t length,
                             const json_t *id, int32_t kind, struct err *err)
{
    const json_int_t i = json_integer_value(id);

    if (!text || length > PIECE_BYTES_MAX || !json_is_integer(id) || i < 0 || (size_t)i >= v->n)
        return err_set(err, ST_FORMAT, "a token has no text or an id that is not one of %zu", v->n);
    v->pieces[i] = text;
    v->lengths[i] = length;
    v->kinds[i] = kind;
    return ST_OK;
}

static enum status read_pieces(const json_t *json, struct vocabulary *v, struct err *err)
{
    json_t *pieces = json_object_get(json_object_get(json, "model"), "vocab"), *id, *token;
    const json_t *added = json_object_get(json, "added_tokens");
    enum status s = ST_OK;
    const char *text;
    size_t i;

    if (!json_is_object(pieces))
        return err_set(err, ST_FORMAT, "it has no vocabulary");
    json_object_foreach(pieces, text, id)
    {
        s = set_piece(v, text, strlen(text), id, TOKEN_NORMAL, err);
        if (s != ST_OK)
            return s;
    }
    json_array_foreach(added, i, token)
    {
        const json_t *content = json_object_get(token, "content");
        const bool is_special = json_is_true(json_object_get(token, "special"));

        s = set_piece(v, json_string_value(content), json_string_length(content),
                      json_object_get(token, "id"), is_special ? TOKEN_CONTROL : TOKEN_USER_DEFINED,
                      err);
        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

/* Matrices are often taller than their vocabulary: ids without a piece are never chosen. */
static void put_pieces(const struct vocabulary *v, struct gguf_head *head)
{
    char unused[32];

    gguf_head_begin_texts(head, "tokenizer.ggml.tokens", v->n);
    for (size_t i = 0; i < v->n; i++) {
        if (v->pieces[i]) {
            gguf_head_add_text(head, v->pieces[i], v->lengths[i]);
            continue;
        }
        snprintf(unused, sizeof(unused), "[PAD%zu]", i);
        gguf_head_add_text(head, unused, strlen(unused));
    }
    gguf_head_put_i32s(head, "tokenizer.ggml.token_type", v->kinds, v->n);
}

static enum status put_vocabulary(const json_t *json, uint32_t n_vocab, struct gguf_head *head,
                                  struct err *err)
{
    struct vocabulary v = { .n = n_vocab };
    enum status s = ST_OK;

    v.pieces = calloc(n_vocab, sizeof(*v.pieces));
    v.lengths = calloc(n_vocab, sizeof(*v.lengths));
    v.kinds = calloc(n_vocab, sizeof(*v.kinds));
    if (!v.pieces || !v.lengths || !v.kinds)
        s = err_set(err, ST_NOMEM, "no memory for %u tokens", (unsigned)n_vocab);
    for (size_t i = 0; s == ST_OK && i < n_vocab; i++)
        v.kinds[i] = TOKEN_UNUSED;
    if (s == ST_OK)
        s = read_pieces(json, &v, err);
    if (s == ST_OK)
        put_pieces(&v, head);
    vocabulary_release(&v);
    return s;
}

/* "left right", or since version 0.20 of the library ["left", "right"]. */
static enum status put_merges(const json_t *json, struct gguf_head *head, struct err *err)
{
    const json_t *merges = json_object_get(json_object_get(json, "model"), "merges"), *merge;
    struct buf text = { 0 };
    enum status s = ST_OK;
    size_t i;

    if (!json_is_array(merges))
        return err_set(err, ST_FORMAT, "it has no merges");
    gguf_head_begin_texts(head, "tokenizer.ggml.merges", json_array_size(merges));
    json_array_foreach(merges, i, merge)
    {
        const char *left = json_string_value(json_array_get(merge, 0));
        const char *right = json_string_value(json_array_get(merge, 1));

        buf_clear(&text);
        if (json_is_string(merge))
            buf_puts(&text, json_string_value(merge));
        else if (left && right && json_array_size(merge) == 2)
            buf_printf(&text, "%s %s", left, right);
        else
            s = err_set(err, ST_FORMAT, "merge %zu is not of two pieces", i);
        if (s == ST_OK && buf_status(&text) != ST_OK)
            s = err_set(err, ST_NOMEM, "no memory for a merge");
        if (s != ST_OK)
            break;
        gguf_head_add_text(head, buf_text(&text), text.len);
    }
    buf_release(&text);
    return s;
}

static bool is_set(const json_t *value)
{
    return value && !json_is_null(value) && !json_is_false(value) &&
           !(json_is_string(value) && json_string_length(value) == 0);
}

static enum status refuse_other_models(const json_t *json, struct err *err)
{
    static const char *const unknown[] = { "dropout", "continuing_subword_prefix",
                                           "end_of_word_suffix", "byte_fallback" };
    const json_t *model = json_object_get(json, "model");
    const json_t *normalizer = json_object_get(json, "normalizer");
    const char *type = json_string_value(json_object_get(model, "type"));

    if (!type || strcmp(type, "BPE") != 0)
        return err_set(err, ST_UNSUPPORTED, "its model is '%.32s'; this build has BPE",
                       type ? type : "");
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        if (is_set(json_object_get(model, unknown[i])))
            return err_set(err, ST_UNSUPPORTED, "its model has '%s'; this build's has none",
                           unknown[i]);
    if (is_set(normalizer)) {
        type = json_string_value(json_object_get(normalizer, "type"));
        return err_set(err, ST_UNSUPPORTED,
                       "its normalizer is '%.32s'; this build's tokenizers have none",
                       type ? type : "");
    }
    return ST_OK;
}

/* The id of a token by its text; -1: none. */
static json_int_t id_of(const json_t *json, const char *text)
{
    const json_t *added = json_object_get(json, "added_tokens"), *token, *id;
    size_t i;

    if (!text)
        return -1;
    json_array_foreach(added, i, token)
    {
        const char *content = json_string_value(json_object_get(token, "content"));

        if (content && strcmp(content, text) == 0)
            return json_integer_value(json_object_get(token, "id"));
    }
    id = json_object_get(json_object_get(json_object_get(json, "model"), "vocab"), text);
    return json_is_integer(id) ? json_integer_value(id) : -1;
}

static void put_id(struct gguf_head *head, const char *key, json_int_t id, uint32_t n_vocab)
{
    if (id >= 0 && id < (json_int_t)n_vocab)
        gguf_head_put_u32(head, key, (uint32_t)id);
}

/* A token of tokenizer_config.json: its text, or an object that has it. */
static const char *token_text(const json_t *config, const char *key)
{
    const json_t *token = json_object_get(config, key);

    return json_string_value(json_is_object(token) ? json_object_get(token, "content") : token);
}

static bool has_template_processor(const json_t *json, const json_t **ret)
{
    const json_t *post = json_object_get(json, "post_processor"), *one;
    const json_t *all = json_object_get(post, "processors");
    const char *type = json_string_value(json_object_get(post, "type"));
    size_t i;

    if (type && strcmp(type, "TemplateProcessing") == 0) {
        *ret = post;
        return true;
    }
    json_array_foreach(all, i, one)
    {
        type = json_string_value(json_object_get(one, "type"));
        if (type && strcmp(type, "TemplateProcessing") == 0) {
            *ret = one;
            return true;
        }
    }
    return false;
}

/* The special token that comes before any text, NULL: none does. */
static enum status token_before(const json_t *json, const char **ret_text, struct err *err)
{
    const json_t *post, *single, *first;

    *ret_text = NULL;
    if (!has_template_processor(json, &post))
        return ST_OK;
    single = json_object_get(post, "single");
    first = json_object_get(json_array_get(single, 0), "SpecialToken");
    *ret_text = json_string_value(json_object_get(first, "id"));
    if (json_array_size(single) != (*ret_text ? 2u : 1u) ||
        !json_object_get(json_array_get(single, *ret_text ? 1 : 0), "Sequence"))
        return err_set(err, ST_UNSUPPORTED, "it adds other tokens than one before a text");
    return ST_OK;
}

/* What ends an answer: the tokenizer's word first, then config.json's, which may be several. */
static void put_end_tokens(const json_t *json, const json_t *tokenizer_config,
                           const json_t *config_json, uint32_t n_vocab, struct gguf_head *head)
{
    const json_t *eos = json_object_get(config_json, "eos_token_id"), *other;
    json_int_t id = id_of(json, token_text(tokenizer_config, "eos_token"));
    size_t i;

    if (id < 0 && json_is_integer(eos))
        id = json_integer_value(eos);
    else if (id < 0 && json_is_integer(json_array_get(eos, 0)))
        id = json_integer_value(json_array_get(eos, 0));
    put_id(head, "tokenizer.ggml.eos_token_id", id, n_vocab);
    json_array_foreach(eos, i, other) if (json_is_integer(other) && json_integer_value(other) != id)
    {
        put_id(head, "tokenizer.ggml.eot_token_id", json_integer_value(other), n_vocab);
        break;
    }
}

static enum status put_special_tokens(const json_t *json, const json_t *tokenizer_config,
                                      const json_t *config_json, uint32_t n_vocab,
                                      struct gguf_head *head, struct err *err)
{
    const json_t *bos = json_object_get(config_json, "bos_token_id");
    const char *before;
    json_int_t id;
    enum status s = token_before(json, &before, err);

    if (s != ST_OK)
        return s;
    id = id_of(json, before ? before : token_text(tokenizer_config, "bos_token"));
    if (id < 0 && json_is_integer(bos))
        id = json_integer_value(bos);
    put_id(head, "tokenizer.ggml.bos_token_id", id, n_vocab);
    gguf_head_put_bool(head, "tokenizer.ggml.add_bos_token", before != NULL);
    put_end_tokens(json, tokenizer_config, config_json, n_vocab, head);
    return ST_OK;
}

/* chat_template.jinja, else "chat_template": a text, or several of which one is the default. */
static enum status put_template(const char *dir, const json_t *tokenizer_config,
                                struct gguf_head *head, struct err *err)
{
    const json_t *template = json_object_get(tokenizer_config, "chat_template"), *named;
    char path[PATH_MAX_BYTES];
    struct buf text = { 0 };
    enum status s = path_join(dir, "chat_template.jinja", path, err);
    size_t i;

    if (s == ST_OK)
        s = file_read(path, TEMPLATE_BYTES_MAX, &text, err);
    if (s == ST_OK)
        gguf_head_put_text(head, "tokenizer.chat_template", buf_text(&text), text.len);
    buf_release(&text);
    if (s != ST_NOTFOUND)
        return s;
    json_array_foreach(template, i, named)
    {
        const char *name = json_string_value(json_object_get(named, "name"));

        if (name && strcmp(name, "default") == 0) {
            template = json_object_get(named, "template");
            break;
        }
    }
    if (json_is_string(template))
        gguf_head_put_text(head, "tokenizer.chat_template", json_string_value(template),
                           json_string_length(template));
    return ST_OK;
}

static enum status put_tokenizer(const json_t *json, const json_t *tokenizer_config,
                                 const json_t *config_json, uint32_t n_vocab,
                                 struct gguf_head *head, struct err *err)
{
    const char *pre;
    enum status s = refuse_other_models(json, err);

    if (s == ST_OK)
        s = convert_pre_tokenizer(json, &pre, err);
    if (s != ST_OK)
        return s;
    gguf_head_put_text(head, "tokenizer.ggml.model", "gpt2", strlen("gpt2"));
    gguf_head_put_text(head, "tokenizer.ggml.pre", pre, strlen(pre));
    s = put_vocabulary(json, n_vocab, head, err);
    if (s == ST_OK)
        s = put_merges(json, head, err);
    if (s == ST_OK)
        s = put_special_tokens(json, tokenizer_config, config_json, n_vocab, head, err);
    return s;
}

enum status convert_put_text(const char *dir, const struct convert_config *config,
                             const json_t *config_json, struct gguf_head *head, struct err *err)
{
    json_t *json = NULL, *tokenizer_config = NULL;
    enum status s = convert_json(dir, "tokenizer.json", &json, err);

    if (s == ST_OK)
        s = convert_json(dir, "tokenizer_config.json", &tokenizer_config, err);
    if (s == ST_NOTFOUND && json)
        s = ST_OK; /* the tokenizer itself is complete without */
    if (s == ST_OK) {
        s = put_tokenizer(json, tokenizer_config, config_json, config->n_vocab, head, err);
        if (s != ST_OK)
            err_wrap(err, "the tokenizer");
    }
    if (s == ST_OK)
        s = put_template(dir, tokenizer_config, head, err);
    json_decref(tokenizer_config);
    json_decref(json);
    return s;
}
