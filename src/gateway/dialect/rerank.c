/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/rerank.c - documents ordered by how near they are to a query.
 *
 * The score is the cosine of the two embeddings (embeddings.c), -1 to 1.  Jina's shape is answered
 * to `documents`, that of Hugging Face's Text Embeddings Inference to `texts`.
 *
 * Source: Jina AI, "Reranker API"; Text Embeddings Inference, "POST /rerank"
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/dialect.h"
#include "gateway/dialect/param.h"
#include "gateway/dialect/vectors.h"
#include "gateway/http/json_out.h"

struct ranked {
    size_t index;
    double score;
};

/* A document is its text, or an object with it. */
static enum status set_document(const json_t *document, struct api_prompt *p, const char *name,
                                struct api_error *e)
{
    const json_t *text = json_is_object(document) ? json_object_get(document, "text") : document;

    if (!json_is_string(text))
        return param_wrong_type(name, "an array of strings", document, e);
    if (json_string_length(text) == 0)
        return api_error_set(e, API_INVALID_VALUE, name, "A text must not be empty.");
    p->n_text = json_string_length(text);
    p->text = strdup(json_string_value(text));
    return p->text ? ST_OK : param_no_memory(e);
}

/* The query is the first prompt. */
static enum status parse_texts(const json_t *body, const char *name, struct api_request *r,
                               struct api_error *e)
{
    const json_t *query = param_get(body, "query"), *texts = param_get(body, name);
    const size_t n = json_array_size(texts);
    enum status s;

    if (!query)
        return api_error_set(e, API_MISSING, "query", "You must provide the parameter 'query'.");
    if (!json_is_array(texts) || n == 0 || n >= REQUEST_INPUTS_MAX)
        return api_error_set(e, texts ? API_INVALID_VALUE : API_MISSING, name,
                             "'%s' must hold 1 to %d texts.", name, REQUEST_INPUTS_MAX - 1);
    r->prompts = calloc(n + 1, sizeof(*r->prompts));
    if (!r->prompts)
        return param_no_memory(e);
    r->n_prompts = n + 1;
    s = set_document(query, &r->prompts[0], "query", e);
    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = set_document(json_array_get(texts, i), &r->prompts[i + 1], name, e);
    return s;
}

static enum status parse_common(const json_t *body, const char *name, struct api_request *r,
                                struct api_error *e)
{
    enum status s = param_text(body, "model", r->model, sizeof(r->model), e);

    r->task = TASK_EMBED;
    if (s == ST_OK)
        s = parse_texts(body, name, r, e);
    return s == ST_OK ? pooling_parse(body, r, e) : s;
}

static enum status parse_tei(const json_t *body, struct api_request *r, struct api_error *e)
{
    const enum status s = parse_common(body, "texts", r, e);

    return s == ST_OK ? param_bool(body, "return_text", &r->returns_texts, e) : s;
}

static enum status parse_jina(const json_t *body, struct api_request *r, struct api_error *e)
{
    enum status s = parse_common(body, "documents", r, e);

    if (s == ST_OK)
        s = param_u32(body, "top_n", 1, REQUEST_INPUTS_MAX, &r->n_best, e);
    return s == ST_OK ? param_bool(body, "return_documents", &r->returns_texts, e) : s;
}

static int by_score(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->score > y->score)
        return -1;
    if (x->score < y->score)
        return 1;
    return x->index < y->index ? -1 : 1;
}

/* The documents, nearest first.  Given: free(); NULL: no memory. */
static struct ranked *rank(const struct reply_vectors *v)
{
    struct ranked *all = calloc(v->n_rows, sizeof(*all));

    for (size_t i = 1; all && i < v->n_rows; i++) {
        struct ranked *one = &all[i - 1];

        one->index = i - 1;
        for (size_t k = 0; k < v->n_dims; k++)
            one->score += (double)v->rows[k] * (double)v->rows[i * v->n_dims + k];
    }
    if (all)
        qsort(all, v->n_rows - 1, sizeof(*all), by_score);
    return all;
}

static void write_results(const struct api_request *r, const struct reply_vectors *v, bool is_jina,
                          struct buf *out)
{
    struct ranked *all = rank(v);
    const size_t n = r->n_best > 0 && r->n_best < v->n_rows - 1 ? r->n_best : v->n_rows - 1;

    if (!all)
        out->failed = true;
    buf_putc(out, '[');
    for (size_t i = 0; all && i < n; i++) {
        const char *text = r->prompts[all[i].index + 1].text;

        buf_printf(out, "%s{\"index\":%zu,\"%s\":%.9g", i ? "," : "", all[i].index,
                   is_jina ? "relevance_score" : "score", all[i].score);
        if (r->returns_texts) {
            buf_puts(out, is_jina ? ",\"document\":{\"text\":" : ",\"text\":");
            json_out_text(out, text);
            buf_puts(out, is_jina ? "}" : "");
        }
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
    free(all);
}

static void vectors_tei(const struct api_request *r, const struct reply_vectors *v, struct buf *out)
{
    write_results(r, v, false, out);
}

static void vectors_jina(const struct api_request *r, const struct reply_vectors *v,
                         struct buf *out)
{
    buf_puts(out, "{\"model\":");
    json_out_text(out, v->model);
    buf_printf(out,
               ",\"object\":\"list\",\"usage\":{\"prompt_tokens\":%" PRIu64
               ",\"total_tokens\":%" PRIu64 "},\"results\":",
               v->prompt_tokens, v->prompt_tokens);
    write_results(r, v, true, out);
    buf_putc(out, '}');
}

const struct dialect rerank_jina = { .name = "rerank",
                                     .parse = parse_jina,
                                     .vectors = vectors_jina };
const struct dialect rerank_tei = { .name = "rerank of texts",
                                    .parse = parse_tei,
                                    .vectors = vectors_tei };
