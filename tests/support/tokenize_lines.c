/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/tokenize_lines.c - a model's tokenizer as a filter.
 *
 *   tokenize_lines MODEL < records > records
 *
 * For two records, a text and its trusted mask (as long as the text, or empty
 * for nowhere), it writes three: the ids as int32, the bytes of these tokens,
 * and what the detokenizer makes of them.
 */
#include "model/model.h"
#include "support/records.h"

struct scratch {
    struct buf text, trusted, bytes, decoded;
    struct tokens tokens;
};

static void decode(const struct tokenizer *tokenizer, struct scratch *w)
{
    struct detokenizer d;

    buf_clear(&w->bytes);
    buf_clear(&w->decoded);
    detokenizer_init(&d, tokenizer);
    for (size_t i = 0; i < w->tokens.n; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(tokenizer, w->tokens.ids[i], &n);

        buf_append(&w->bytes, bytes, n);
        detokenizer_push(&d, w->tokens.ids[i], &w->decoded);
    }
    detokenizer_flush(&d, &w->decoded);
}

static enum status filter(const struct tokenizer *tokenizer, struct scratch *w, struct err *err)
{
    while (record_read(&w->text)) {
        enum status s;

        if (!record_read(&w->trusted) || (w->trusted.len != 0 && w->trusted.len != w->text.len))
            return err_set(err, ST_FORMAT, "a text without its mask");
        w->tokens.n = 0;
        s = tokenizer_encode(tokenizer, w->text.data, w->text.len,
                             w->trusted.len ? (const uint8_t *)w->trusted.data : NULL, &w->tokens,
                             err);
        if (s != ST_OK)
            return s;
        decode(tokenizer, w);
        record_write(w->tokens.ids, w->tokens.n * sizeof(*w->tokens.ids));
        record_write(buf_text(&w->bytes), w->bytes.len);
        record_write(buf_text(&w->decoded), w->decoded.len);
    }
    return fflush(stdout) == 0 ? ST_OK : err_errno(err, "write");
}

int main(int argc, char **argv)
{
    struct tokenizer *tokenizer = NULL;
    struct model *model = NULL;
    struct scratch w = { 0 };
    struct err err = { 0 };
    enum status s = ST_RANGE;

    if (argc != 2) {
        fprintf(stderr, "usage: tokenize_lines MODEL\n");
        return EXIT_FAILURE;
    }
    s = model_open(argv[1], &model, &err);
    if (s == ST_OK)
        s = model_tokenizer(model, &tokenizer, &err);
    if (s == ST_OK)
        s = filter(tokenizer, &w, &err);
    if (s != ST_OK)
        fprintf(stderr, "tokenize_lines: %s\n", err.words);

    tokens_release(&w.tokens);
    buf_release(&w.text);
    buf_release(&w.trusted);
    buf_release(&w.bytes);
    buf_release(&w.decoded);
    tokenizer_free(tokenizer);
    model_free(model);
    return s == ST_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
