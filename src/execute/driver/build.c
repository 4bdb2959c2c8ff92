/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/build.c - rows of the scheduler's plan become the batch of a flight.
 *
 * A span ends before the last known token (a chunk of a prompt: no logits),
 * at it (one row of logits), or after guessed tokens that follow it (a row
 * of logits for the last known token and for each guess).
 */
#include <string.h>

#include "execute/driver/driver_priv.h"

/* Sockets buffer more than this on every system (128 KiB).  The driver sends a flight while rank
 * n-2 may wait for it to receive an older one, so its own sends may not wait. */
enum { IN_FLIGHT_BYTES_MAX = 64 << 10 };

/* What was guessed and does not fit this step is forgotten. */
static void cut_drafts(struct sequence *q, uint32_t n_rows)
{
    const uint32_t end = q->n_sent + n_rows;

    q->n_drafts = end > q->n_tokens ? end - q->n_tokens : 0;
}

static void add_span(struct driver *d, struct flight *f, struct sequence *q, uint32_t n_rows)
{
    struct engine_batch *b = &f->batch;
    const uint32_t end = q->n_sent + n_rows;

    memcpy(f->tokens + b->n_rows, q->tokens + q->n_sent, n_rows * sizeof(*f->tokens));
    f->owners[b->n_spans] = q;
    driver_trace_span(f, b->n_spans, q);
    f->spans[b->n_spans++] = (struct engine_span){
        .first_row = b->n_rows,
        .n_rows = n_rows,
        .start = q->n_sent,
        .pages = q->pages,
        .n_pages = driver_pages_for(d, end),
    };
    b->n_rows += n_rows;
    f->wants_hidden = f->wants_hidden || q->pooling;
    for (uint32_t i = sequence_logit_rows(q, q->n_sent, end); i > 0; i--) {
        f->logit_asks[b->n_logit_rows] = d->gather ? driver_ask(q, end - i) : 0;
        f->logit_rows[b->n_logit_rows++] = b->n_rows - i;
    }
}

/* Bytes of a step's message to rank 0. */
static size_t message_bytes(size_t n_rows, size_t n_spans, size_t n_page_ids)
{
    return STEP_HEADER_BYTES + STEP_SPAN_BYTES * n_spans + sizeof(uint32_t) * n_page_ids +
           sizeof(int32_t) * n_rows;
}

/* At most, where a step says which spans are traced. */
static size_t trace_bytes(const struct driver *d)
{
    size_t n_slots = 0, n_marks = 0, n_spans = 0;

    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *q = d->sequences[i];

        n_spans += d->rows[i] > 0;
        n_slots += d->rows[i] > 0 && q->slot > 0;
        n_marks += d->rows[i] > 0 && q->slot > 0 && !q->is_marked;
    }
    return (n_slots > 0 ? n_spans * STEP_SLOT_BYTES : 0) + n_marks * STEP_MARK_BYTES;
}

/* At most, where a step says which rows have logits. */
static size_t logit_bytes(const struct driver *d)
{
    return d->gather ? (size_t)STEP_LOGIT_ROW_BYTES * d->o.max_logit_rows : 0;
}

static size_t planned_bytes(const struct driver *d)
{
    size_t n_rows = 0, n_spans = 0, n_page_ids = 0;

    for (size_t i = 0; i < d->n_sequences; i++) {
        if (d->rows[i] == 0)
            continue;
        n_rows += d->rows[i];
        n_spans++;
        n_page_ids += driver_pages_for(d, d->sequences[i]->n_sent + d->rows[i]);
    }
    return message_bytes(n_rows, n_spans, n_page_ids) + logit_bytes(d) + trace_bytes(d);
}

bool driver_may_launch(const struct driver *d)
{
    size_t n_bytes = planned_bytes(d);

    for (uint32_t i = 0; i < d->n_flights; i++)
        n_bytes += d->flights[(d->first_flight + i) % d->lineup.n_teams].message_bytes;
    return d->n_flights == 0 || n_bytes <= IN_FLIGHT_BYTES_MAX;
}

void driver_build(struct driver *d, struct flight *f)
{
    f->message_bytes = planned_bytes(d);
    f->n_prompt_rows = 0;
    f->wants_hidden = false;
    f->trace = (struct step_trace){ .slots = f->slots, .marks = f->marks };
    f->batch = (struct engine_batch){
        .tokens = f->tokens,
        .spans = f->spans,
        .logit_rows = f->logit_rows,
        .asks = f->logit_asks,
    };
    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];
        const uint32_t n_rows = d->rows[i];

        if (n_rows == 0)
            continue;
        cut_drafts(q, n_rows);
        f->n_prompt_rows += sequence_is_decoding(q) ? 0 : n_rows;
        add_span(d, f, q, n_rows);
        q->n_sent += n_rows;
        q->n_flights++;
        fair_charge(d->fair, q->tenant, n_rows);
    }
    if (f->trace.n_slots > 0)
        f->trace.n_slots = f->batch.n_spans;
}
