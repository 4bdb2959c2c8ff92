/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/one_answer.c - answers that come in one piece, in the words of the client's dialect. */
#include "flow/upstream/one_answer.h"

#include <inttypes.h>
#include <stdlib.h>

#include "gateway/dialect/dialect.h"
#include "gateway/http/json_in.h"

enum { DIMS_MAX = 1 << 16 };

bool one_answer_is_asked(const struct api_request *r)
{
    return r->task == TASK_COUNT || r->task == TASK_EMBED;
}

static enum status write_count(const struct api_request *r, const json_t *answer, struct buf *out,
                               struct err *err)
{
    const json_t *n = json_object_get(answer, "input_tokens");
    const char *object = r->dialect->object; /* some APIs name it */

    if (!json_is_integer(n) || json_integer_value(n) < 0)
        return err_set(err, ST_FORMAT, "an answer without 'input_tokens'");
    buf_putc(out, '{');
    if (object)
        buf_printf(out, "\"object\":\"%s\",", object);
    buf_printf(out, "\"input_tokens\":%" PRId64 "}", (int64_t)json_integer_value(n));
    return ST_OK;
}

/* Its place in the list, wherever it says that it belongs. */
static enum status read_vector(const json_t *item, float *rows, size_t n_rows, size_t n_dims,
                               struct err *err)
{
    const json_t *vector = json_object_get(item, "embedding");
    const json_int_t index = json_integer_value(json_object_get(item, "index"));

    if (index < 0 || (size_t)index >= n_rows || json_array_size(vector) != n_dims)
        return err_set(err, ST_FORMAT, "vectors of several lengths, or of texts not given");
    for (size_t i = 0; i < n_dims; i++)
        rows[(size_t)index * n_dims + i] = (float)json_number_value(json_array_get(vector, i));
    return ST_OK;
}

static enum status write_vectors(const struct api_request *r, const json_t *answer, struct buf *out,
                                 struct err *err)
{
    const json_t *data = json_object_get(answer, "data");
    const json_int_t n_tokens =
        json_integer_value(json_object_get(json_object_get(answer, "usage"), "prompt_tokens"));
    struct reply_vectors v = {
        .n_rows = r->n_prompts,
        .n_dims = json_array_size(json_object_get(json_array_get(data, 0), "embedding")),
        .model = r->model,
        .prompt_tokens = n_tokens > 0 ? (uint64_t)n_tokens : 0,
    };
    enum status s = ST_OK;
    float *rows;

    if (json_array_size(data) != v.n_rows || v.n_dims == 0 || v.n_dims > DIMS_MAX)
        return err_set(err, ST_FORMAT, "not one vector for each text");
    rows = calloc(v.n_rows * v.n_dims, sizeof(*rows));
    if (!rows)
        return err_set(err, ST_NOMEM, "an upstream's vectors");
    for (size_t i = 0; i < v.n_rows && s == ST_OK; i++)
        s = read_vector(json_array_get(data, i), rows, v.n_rows, v.n_dims, err);
    v.rows = rows;
    if (s == ST_OK)
        r->dialect->vectors(r, &v, out);
    free(rows);
    return s;
}

enum status one_answer_write(const struct api_request *r, const char *body, size_t n,
                             struct buf *out, uint64_t *ret_n_tokens, struct err *err)
{
    struct api_error e;
    json_t *answer;
    json_int_t n_tokens;
    enum status s;

    if (json_in_object(body, n, &answer, &e) != ST_OK)
        return err_set(err, ST_FORMAT, "what came is no JSON object");
    s = r->task == TASK_COUNT ? write_count(r, answer, out, err)
                              : write_vectors(r, answer, out, err);
    n_tokens =
        json_integer_value(json_object_get(json_object_get(answer, "usage"), "total_tokens"));
    json_decref(answer);
    if (s == ST_OK)
        *ret_n_tokens = n_tokens > 0 ? (uint64_t)n_tokens : 0;
    return s;
}
