/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/embeddings.c - OpenAI's embeddings.
 *
 * A vector is the mean of the model's hidden rows after its output norm ("pooling": "last" takes the
 * last row), cut to `dimensions` where that is asked, and brought to length 1.
 *
 * Source: OpenAI API reference, "Embeddings"
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/dialect.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/prompts.h"
#include "gateway/dialect/vectors.h"
#include "gateway/http/json_out.h"

enum { DIMENSIONS_MAX = 1 << 16 };

enum status pooling_parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    char word[16] = "mean";
    const enum status s = param_text(body, "pooling", word, sizeof(word), e);

    if (s != ST_OK)
        return s;
    if (strcmp(word, "mean") != 0 && strcmp(word, "last") != 0)
        return api_error_set(e, API_INVALID_VALUE, "pooling", "'pooling' is 'mean' or 'last'.");
    r->pooling = word[0] == 'm' ? POOLING_MEAN : POOLING_LAST;
    return ST_OK;
}

enum status inputs_parse(const json_t *body, const char *name, struct api_request *r,
                         struct api_error *e)
{
    enum status s;

    r->task = TASK_EMBED;
    s = param_text(body, "model", r->model, sizeof(r->model), e);
    if (s == ST_OK)
        s = prompts_parse(body, name, REQUEST_INPUTS_MAX, r, e);
    for (size_t i = 0; s == ST_OK && i < r->n_prompts; i++) {
        if (!r->prompts[i].tokens && r->prompts[i].n_text == 0)
            return api_error_set(e, API_INVALID_VALUE, name, "A text must not be empty.");
    }
    if (s == ST_OK)
        s = pooling_parse(body, r, e);
    return s == ST_OK ? param_u32(body, "dimensions", 1, DIMENSIONS_MAX, &r->n_dims, e) : s;
}

static enum status parse_format(const json_t *body, struct api_request *r, struct api_error *e)
{
    char word[16] = "float";
    const enum status s = param_text(body, "encoding_format", word, sizeof(word), e);

    if (s != ST_OK)
        return s;
    r->writes_base64 = strcmp(word, "base64") == 0;
    if (!r->writes_base64 && strcmp(word, "float") != 0)
        return api_error_set(e, API_INVALID_VALUE, "encoding_format",
                             "'encoding_format' is 'float' or 'base64'.");
    return ST_OK;
}

static enum status parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    const char *name =
        param_get(body, "content") && !param_get(body, "input") ? "content" : "input";
    enum status s = inputs_parse(body, name, r, e);

    if (s == ST_OK && !param_get(body, "model"))
        return api_error_set(e, API_MISSING, "model", "You must provide a model parameter.");
    return s == ST_OK ? parse_format(body, r, e) : s;
}

void vector_write(const float *row, size_t n, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(out, i ? ",%.9g" : "%.9g", (double)row[i]);
    buf_putc(out, ']');
}

/* 32-bit floats, least byte first, as numpy.frombuffer(dtype="<f4") reads them. */
static void write_base64(const float *row, size_t n, struct buf *out)
{
    unsigned char *bytes = malloc(n * 4 + 1), *text = malloc((n * 4 + 2) / 3 * 4 + 1);

    for (size_t i = 0; bytes && i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &row[i], sizeof(bits));
        for (int b = 0; b < 4; b++)
            bytes[i * 4 + (size_t)b] = (unsigned char)(bits >> (8 * b));
    }
    if (bytes && text) {
        const int len = EVP_EncodeBlock(text, bytes, (int)(n * 4));

        buf_putc(out, '"');
        buf_append(out, (const char *)text, (size_t)len);
        buf_putc(out, '"');
    } else {
        out->failed = true;
    }
    free(bytes);
    free(text);
}

static void vectors(const struct api_request *r, const struct reply_vectors *v, struct buf *out)
{
    buf_puts(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < v->n_rows; i++) {
        const float *row = v->rows + i * v->n_dims;

        buf_printf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                   i);
        if (r->writes_base64)
            write_base64(row, v->n_dims, out);
        else
            vector_write(row, v->n_dims, out);
        buf_putc(out, '}');
    }
    buf_puts(out, "],\"model\":");
    json_out_text(out, v->model);
    buf_printf(out, ",\"usage\":{\"prompt_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64 "}}",
               v->prompt_tokens, v->prompt_tokens);
}

const struct dialect openai_embeddings = { .name = "openai embeddings",
                                           .parse = parse,
                                           .vectors = vectors };
