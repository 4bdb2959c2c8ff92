/* SPDX-License-Identifier: Apache-2.0 */
/* flow/embed.c - vectors in place of text: cut, brought to length 1, and answered. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"
#include "flow/flow_priv.h"

/* [n] to length 1; a vector of zeros, which no model makes, stays. */
static void normalise(const float *from, size_t n, float *to)
{
    double sum = 0, scale;

    for (size_t i = 0; i < n; i++)
        sum += (double)from[i] * (double)from[i];
    scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (size_t i = 0; i < n; i++)
        to[i] = (float)((double)from[i] * scale);
}

static enum status make_room(struct flow *f, struct err *err)
{
    size_t n;

    if (f->vectors)
        return ST_OK;
    f->n_dims = f->request.n_dims > 0 ? f->request.n_dims : f->model.n_hidden;
    if (size_mul(f->n_choices, f->n_dims, &n))
        f->vectors = calloc(n, sizeof(*f->vectors));
    return f->vectors ? ST_OK : err_set(err, ST_NOMEM, "There is no memory.");
}

enum status flow_take_vector(struct choice *c, const struct token_event *event, struct err *err)
{
    struct flow *f = c->flow;
    const enum status s = make_room(f, err);

    if (s != ST_OK)
        return s;
    if (event->n_vector != f->model.n_hidden) /* a node of an older version made tokens */
        return err_set(err, ST_UNSUPPORTED, "The model's instance gives no vectors.");
    normalise(event->vector, f->n_dims, f->vectors + (size_t)(c - f->choices) * f->n_dims);
    return ST_OK;
}

void flow_tell_vectors(struct flow *f, uint64_t n_prompt_tokens)
{
    const struct reply_vectors vectors = {
        .rows = f->vectors,
        .n_rows = f->n_choices,
        .n_dims = f->n_dims,
        .model = f->request.model[0] ? f->request.model : f->model.name,
        .prompt_tokens = n_prompt_tokens,
        .total_ns = clock_ns() - f->begun_ns,
    };
    struct buf body = { 0 };

    f->request.dialect->vectors(&f->request, &vectors, &body);
    exchange_reply(f->x, 200, "application/json", &body);
}
