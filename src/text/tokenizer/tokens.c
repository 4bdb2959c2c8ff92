/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/tokens.c - a list of token ids. */
#include "text/tokenizer/tokens.h"

#include <stdlib.h>

#include "base/size.h"

enum status tokens_reserve(struct tokens *tokens, size_t n, struct err *err)
{
    size_t need, bytes;
    int32_t *ids;

    if (!size_add(tokens->n, n, &need))
        return err_set(err, ST_NOMEM, "list of tokens");
    if (need <= tokens->capacity)
        return ST_OK;

    need = size_max(need, size_max(2 * tokens->capacity, 64));
    ids = size_mul(need, sizeof(*ids), &bytes) ? realloc(tokens->ids, bytes) : NULL;
    if (!ids)
        return err_set(err, ST_NOMEM, "list of %zu tokens", need);
    tokens->ids = ids;
    tokens->capacity = need;
    return ST_OK;
}

void tokens_release(struct tokens *tokens)
{
    free(tokens->ids);
    *tokens = (struct tokens){ 0 };
}
