/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/step.c - one step's batch as it travels from rank to rank. */
#include "execute/shard/step.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "payloads are sent as they lie in memory: a big-endian machine needs a conversion here"
#endif

struct step_wire {
    struct step_limits limits;
    uint32_t max_page_ids;
    uint8_t *head;             /* header and table, in or out */
    struct engine_span *spans; /* [max_spans], received */
    uint32_t *pages;           /* [max_page_ids], received */
    int32_t *tokens;           /* [max_rows], received */
    float *hidden;             /* [max_rows][n_hidden], received */
    uint32_t *logit_rows;      /* [max_logit_rows], received */
    uint32_t *asks;            /* [max_logit_rows], received */
    uint32_t *slots;           /* [max_spans], received */
    struct step_mark *marks;   /* [max_spans], received */
    struct step_trace received;
    struct step_trace to_send; /* points to what others own */
};

static enum status allocate(struct step_wire *w, const struct step_limits *limits)
{
    const size_t sequence_pages =
        ((size_t)limits->context_tokens + limits->page_tokens - 1) / limits->page_tokens;
    size_t n_ids, n_hidden;

    if (!size_mul(sequence_pages, limits->max_spans, &n_ids) || n_ids > UINT32_MAX / 8 ||
        !size_mul(limits->max_rows, limits->n_hidden, &n_hidden))
        return ST_RANGE;
    w->max_page_ids = (uint32_t)n_ids;
    w->head =
        malloc(STEP_HEADER_BYTES + (size_t)limits->max_spans * STEP_SPAN_BYTES +
               n_ids * sizeof(uint32_t) + (size_t)limits->max_logit_rows * STEP_LOGIT_ROW_BYTES +
               (size_t)limits->max_spans * (STEP_SLOT_BYTES + STEP_MARK_BYTES));
    w->spans = calloc(limits->max_spans, sizeof(*w->spans));
    w->pages = calloc(n_ids, sizeof(*w->pages));
    w->tokens = calloc(limits->max_rows, sizeof(*w->tokens));
    w->hidden = calloc(n_hidden, sizeof(*w->hidden));
    w->logit_rows = calloc((size_t)limits->max_logit_rows + 1, sizeof(*w->logit_rows));
    w->asks = calloc((size_t)limits->max_logit_rows + 1, sizeof(*w->asks));
    w->slots = calloc(limits->max_spans, sizeof(*w->slots));
    w->marks = calloc(limits->max_spans, sizeof(*w->marks));
    return w->head && w->spans && w->pages && w->tokens && w->hidden && w->logit_rows && w->asks &&
                   w->slots && w->marks
               ? ST_OK
               : ST_NOMEM;
}

enum status step_wire_new(const struct step_limits *limits, struct step_wire **ret_wire,
                          struct err *err)
{
    struct step_wire *w;
    enum status s = ST_NOMEM;

    if (limits->max_rows == 0 || limits->max_spans == 0 || limits->context_tokens == 0 ||
        limits->page_tokens == 0 || limits->n_hidden == 0)
        return err_set(err, ST_RANGE, "the limits of a step may not be zero");
    w = calloc(1, sizeof(*w));
    if (w) {
        w->limits = *limits;
        s = allocate(w, limits);
    }
    if (s != ST_OK) {
        step_wire_free(w);
        return err_set(err, s, "buffers for steps of %u rows", limits->max_rows);
    }
    *ret_wire = w;
    return ST_OK;
}

void step_wire_free(struct step_wire *w)
{
    if (!w)
        return;
    free(w->head);
    free(w->spans);
    free(w->pages);
    free(w->tokens);
    free(w->hidden);
    free(w->logit_rows);
    free(w->asks);
    free(w->slots);
    free(w->marks);
    free(w);
}

void step_set_trace(struct step_wire *w, const struct step_trace *trace)
{
    w->to_send = *trace;
}

const struct step_trace *step_trace(const struct step_wire *w)
{
    return &w->received;
}

enum status step_send(struct step_wire *w, struct transport *t, uint32_t to, uint64_t number,
                      const struct engine_batch *batch, uint64_t deadline_ns, struct err *err)
{
    const void *payload = batch->tokens ? (const void *)batch->tokens : batch->hidden;
    struct engine_batch told = *batch;
    struct step_head head;
    size_t n_trace;
    enum status s;

    if (w->limits.max_logit_rows == 0)
        told.n_logit_rows = 0;
    step_write_header(number, &told, w->head);
    n_trace = step_trace_bytes(&w->to_send);
    s = step_read_header(&w->limits, w->head, &head, err); /* never send what would be refused */
    if (s != ST_OK)
        return s;
    step_write_table(&told, w->head + STEP_HEADER_BYTES);
    step_write_trace(&w->to_send, w->head, w->head + STEP_HEADER_BYTES + head.table_bytes);
    s = transport_send(t, to, w->head, STEP_HEADER_BYTES + head.table_bytes + n_trace, deadline_ns,
                       err);
    if (s == ST_OK)
        s = transport_send(t, to, payload, head.payload_bytes, deadline_ns, err);
    return s;
}

static enum status recv_payload(struct step_wire *w, struct transport *t, uint32_t from,
                                const struct step_head *head, uint64_t deadline_ns, struct err *err)
{
    const bool is_tokens = head->payload == STEP_TOKENS;
    void *to = is_tokens ? (void *)w->tokens : w->hidden;
    const enum status s = transport_recv(t, from, to, head->payload_bytes, deadline_ns, err);

    for (uint32_t i = 0; s == ST_OK && is_tokens && i < head->n_rows; i++)
        if (w->tokens[i] < 0 || (uint32_t)w->tokens[i] >= w->limits.n_vocab)
            return err_set(err, ST_FORMAT, "a step with token %d", w->tokens[i]);
    return s;
}

enum status step_recv(struct step_wire *w, struct transport *t, uint32_t from, uint64_t deadline_ns,
                      uint64_t rest_ms, uint64_t *ret_number, struct engine_batch *ret_batch,
                      struct err *err)
{
    uint8_t *table = w->head + STEP_HEADER_BYTES;
    struct step_head head;
    enum status s;

    s = transport_recv(t, from, w->head, STEP_HEADER_BYTES, deadline_ns, err);
    if (s == ST_OK)
        s = step_read_header(&w->limits, w->head, &head, err);
    if (s != ST_OK)
        return s;

    deadline_ns = deadline_after_ms(rest_ms);
    s = transport_recv(t, from, table, head.table_bytes + head.trace_bytes, deadline_ns, err);
    if (s == ST_OK)
        s = step_read_table(&w->limits, &head, table, w->spans, w->pages, err);
    if (s == ST_OK)
        s = step_read_logit_rows(&head, table, w->logit_rows, w->asks, err);
    if (s == ST_OK)
        s = step_read_trace(&w->limits, &head, table + head.table_bytes, w->slots, w->marks, err);
    if (s == ST_OK)
        s = recv_payload(w, t, from, &head, deadline_ns, err);
    if (s != ST_OK)
        return s;

    w->received = (struct step_trace){ w->slots, head.n_slots, w->marks, head.n_marks };
    *ret_number = head.number;
    *ret_batch = (struct engine_batch){
        .n_rows = head.n_rows,
        .tokens = head.payload == STEP_TOKENS ? w->tokens : NULL,
        .hidden = head.payload == STEP_HIDDEN ? w->hidden : NULL,
        .spans = w->spans,
        .n_spans = head.n_spans,
        .logit_rows = w->logit_rows,
        .n_logit_rows = head.n_logit_rows,
        .asks = w->asks,
    };
    return ST_OK;
}
