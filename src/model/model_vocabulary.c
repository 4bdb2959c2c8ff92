/* SPDX-License-Identifier: Apache-2.0 */
/* model/model_vocabulary.c - do two models mean the same by a token's number? */
#include <string.h>

#include "model/model_priv.h"

static const char *const tokens_key = "tokenizer.ggml.tokens";

enum status model_same_vocabulary(const struct model *a, const struct model *b, struct err *err)
{
    const char *const a_name = a->info.name, *const b_name = b->info.name;
    struct gguf_array of_a, of_b;
    struct gguf_text x, y;
    enum status s = gguf_get_array(a->gguf, tokens_key, GGUF_STRING, &of_a, err);

    if (s == ST_OK)
        s = gguf_get_array(b->gguf, tokens_key, GGUF_STRING, &of_b, err);
    if (s != ST_OK)
        return s;
    if (a->info.n_vocab != b->info.n_vocab || of_a.n != of_b.n)
        return err_set(err, ST_RANGE, "'%s' has %u tokens and '%s' has %u: not one vocabulary",
                       a_name, a->info.n_vocab, b_name, b->info.n_vocab);
    for (uint64_t i = 0; gguf_array_next(&of_a, &x) && gguf_array_next(&of_b, &y); i++)
        if (x.n != y.n || memcmp(x.bytes, y.bytes, x.n) != 0)
            return err_set(err, ST_RANGE,
                           "token %llu of '%s' and of '%s' differ: not one vocabulary",
                           (unsigned long long)i, a_name, b_name);
    return ST_OK;
}
