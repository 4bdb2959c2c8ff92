/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/tokenizer.c - making a tokenizer, and what it says of its tokens. */
#include "text/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/tokenizer/tokenizer_priv.h"

static enum status check_names(const struct vocab *vocab, const struct pre_tokenizer **ret_pre,
                               struct err *err)
{
    const char *model = vocab->model && *vocab->model ? vocab->model : "none";
    const char *pre = vocab->pre && *vocab->pre ? vocab->pre : "none";

    if (strcmp(model, "gpt2") != 0)
        return err_set(err, ST_UNSUPPORTED, "tokenizer model '%s'; only 'gpt2' is known here",
                       model);
    *ret_pre = pre_tokenizer_find(pre);
    if (!*ret_pre)
        return err_set(err, ST_UNSUPPORTED, "pre-tokenizer '%s' is not known here", pre);
    return ST_OK;
}

static enum status check_ids(const struct vocab *vocab, struct err *err)
{
    const struct {
        const char *name;
        int32_t id;
    } named[] = {
        { "bos", vocab->bos },
        { "eos", vocab->eos },
        { "eot", vocab->eot },
        { "unk", vocab->unk },
    };

    for (size_t i = 0; i < ARRAY_LEN(named); i++)
        if (named[i].id != TOKEN_NONE &&
            (named[i].id < 0 || (size_t)named[i].id >= vocab->n_pieces))
            return err_set(err, ST_FORMAT, "the %s token is %d, but there are %zu pieces",
                           named[i].name, named[i].id, vocab->n_pieces);
    return ST_OK;
}

enum status tokenizer_new(const struct vocab *vocab, struct tokenizer **ret_tokenizer,
                          struct err *err)
{
    const struct pre_tokenizer *pre = NULL;
    struct tokenizer *t;
    enum status s;

    s = check_names(vocab, &pre, err);
    if (s == ST_OK)
        s = check_ids(vocab, err);
    if (s != ST_OK)
        return s;

    t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(err, ST_NOMEM, "tokenizer");
    t->pre = pre;
    t->bos = vocab->bos;
    t->eos = vocab->eos;
    t->eot = vocab->eot;
    t->adds_bos = vocab->adds_bos;

    s = piece_table_init(&t->pieces, vocab, err);
    if (s == ST_OK)
        s = merge_table_init(&t->merges, vocab, &t->pieces, err);
    if (s == ST_OK)
        s = special_table_init(&t->specials, &t->pieces, err);
    if (s != ST_OK)
        goto out;

    for (int byte = 0; byte < 256; byte++)
        t->byte_ids[byte] = piece_find(&t->pieces, &(const char){ (char)byte }, 1);
    *ret_tokenizer = t;
    t = NULL;

out:
    tokenizer_free(t);
    return s;
}

void tokenizer_free(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    special_table_release(&tokenizer->specials);
    merge_table_release(&tokenizer->merges);
    piece_table_release(&tokenizer->pieces);
    free(tokenizer);
}

static bool is_token(const struct tokenizer *tokenizer, int32_t token)
{
    return token >= 0 && (size_t)token < tokenizer->pieces.n;
}

const char *tokenizer_bytes(const struct tokenizer *tokenizer, int32_t token, size_t *ret_n)
{
    if (is_token(tokenizer, token))
        return piece_bytes(&tokenizer->pieces, token, ret_n);
    *ret_n = 0;
    return "";
}

size_t tokenizer_n_tokens(const struct tokenizer *tokenizer)
{
    return tokenizer->pieces.n;
}

enum token_kind tokenizer_kind(const struct tokenizer *tokenizer, int32_t token)
{
    return is_token(tokenizer, token) ? tokenizer->pieces.pieces[token].kind : TOKEN_UNUSED;
}

int32_t tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int32_t tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->eos;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

/* How the chat formats of the known model families end a turn. */
static bool ends_turn(const struct special *special)
{
    static const char *const texts[] = {
        "<|im_end|>",    "<|eot_id|>", "<|eom_id|>",    "<|end|>",
        "<|endoftext|>", "</s>",       "<end_of_turn>",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (strlen(texts[i]) == special->n_bytes &&
            memcmp(texts[i], special->bytes, special->n_bytes) == 0)
            return true;
    return false;
}

static size_t add_once(int32_t *ids, size_t n, size_t capacity, int32_t id)
{
    if (id == TOKEN_NONE || n == capacity)
        return n;
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return n;
    ids[n] = id;
    return n + 1;
}

size_t tokenizer_end_tokens(const struct tokenizer *tokenizer, int32_t *ret_ids, size_t capacity)
{
    const struct special_table *specials = &tokenizer->specials;
    size_t n = 0;

    n = add_once(ret_ids, n, capacity, tokenizer->eos);
    n = add_once(ret_ids, n, capacity, tokenizer->eot);
    for (size_t i = 0; i < specials->n; i++) {
        const struct special *special = &specials->rows[i];

        if (tokenizer_kind(tokenizer, special->id) == TOKEN_CONTROL && ends_turn(special))
            n = add_once(ret_ids, n, capacity, special->id);
    }
    return n;
}
