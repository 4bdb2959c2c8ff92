/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/step_format.c - the bytes of a step, written and checked. */
#include <string.h>

#include "contract/trace_wire.h"
#include "execute/sample/best.h"
#include "execute/shard/step.h"

static const uint32_t step_magic = 0x50455453; /* "STEP" as bytes */

enum { STEP_VERSION = 3 };

uint32_t step_version(void)
{
    return STEP_VERSION;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t n_page_ids_of(const struct engine_batch *batch)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < batch->n_spans; i++)
        n += batch->spans[i].n_pages;
    return n;
}

void step_write_header(uint64_t number, const struct engine_batch *batch, uint8_t *ret_bytes)
{
    put_u32(ret_bytes, step_magic);
    put_u32(ret_bytes + 4,
            (uint32_t)STEP_VERSION << 16 | (uint32_t)(batch->tokens ? STEP_TOKENS : STEP_HIDDEN));
    put_u32(ret_bytes + 8, (uint32_t)number);
    put_u32(ret_bytes + 12, (uint32_t)(number >> 32));
    put_u32(ret_bytes + 16, batch->n_rows);
    put_u32(ret_bytes + 20, batch->n_spans);
    put_u32(ret_bytes + 24, n_page_ids_of(batch));
    put_u32(ret_bytes + 28, batch->n_logit_rows);
    put_u32(ret_bytes + 32, 0); /* step_write_trace() */
    put_u32(ret_bytes + 36, 0);
}

void step_write_table(const struct engine_batch *batch, uint8_t *ret_bytes)
{
    uint8_t *p = ret_bytes;

    for (uint32_t i = 0; i < batch->n_spans; i++, p += STEP_SPAN_BYTES) {
        put_u32(p, batch->spans[i].n_rows);
        put_u32(p + 4, batch->spans[i].start);
        put_u32(p + 8, batch->spans[i].n_pages);
    }
    for (uint32_t i = 0; i < batch->n_spans; i++)
        for (uint32_t k = 0; k < batch->spans[i].n_pages; k++, p += 4)
            put_u32(p, batch->spans[i].pages[k]);
    for (uint32_t i = 0; i < batch->n_logit_rows; i++, p += STEP_LOGIT_ROW_BYTES) {
        put_u32(p, batch->logit_rows[i]);
        put_u32(p + 4, batch->asks ? batch->asks[i] : 0);
    }
}

static uint32_t pages_for(const struct step_limits *limits, uint32_t n_tokens)
{
    return (n_tokens + limits->page_tokens - 1) / limits->page_tokens;
}

static enum status check_sizes(const struct step_limits *limits, const struct step_head *head,
                               struct err *err)
{
    const uint64_t most_pages = (uint64_t)head->n_spans * pages_for(limits, limits->context_tokens);

    if (head->n_rows == 0 || head->n_rows > limits->max_rows)
        return err_set(err, ST_FORMAT, "a step of %u rows, at most %u are allowed", head->n_rows,
                       limits->max_rows);
    if (head->n_spans == 0 || head->n_spans > limits->max_spans || head->n_spans > head->n_rows)
        return err_set(err, ST_FORMAT, "a step of %u spans, at most %u are allowed", head->n_spans,
                       limits->max_spans);
    if (head->n_page_ids > most_pages)
        return err_set(err, ST_FORMAT, "a step with %u page numbers", head->n_page_ids);
    if (head->n_logit_rows > limits->max_logit_rows || head->n_logit_rows > head->n_rows)
        return err_set(err, ST_FORMAT, "a step with %u rows of logits, at most %u are allowed",
                       head->n_logit_rows, limits->max_logit_rows);
    if ((head->n_slots != 0 && head->n_slots != head->n_spans) || head->n_marks > head->n_slots)
        return err_set(err, ST_FORMAT, "a step of %u spans with %u slots and %u marks",
                       head->n_spans, head->n_slots, head->n_marks);
    return ST_OK;
}

enum status step_read_header(const struct step_limits *limits, const uint8_t *bytes,
                             struct step_head *ret_head, struct err *err)
{
    const uint32_t kind = get_u32(bytes + 4);
    struct step_head head;
    enum status s;

    if (get_u32(bytes) != step_magic || kind >> 16 != STEP_VERSION)
        return err_set(err, ST_FORMAT, "a rank sent something that is not a step of this version");
    if ((kind & 0xffff) != STEP_TOKENS && (kind & 0xffff) != STEP_HIDDEN)
        return err_set(err, ST_FORMAT, "a step with payload kind %u", kind & 0xffff);
    head = (struct step_head){
        .number = (uint64_t)get_u32(bytes + 12) << 32 | get_u32(bytes + 8),
        .payload = (enum step_payload)(kind & 0xffff),
        .n_rows = get_u32(bytes + 16),
        .n_spans = get_u32(bytes + 20),
        .n_page_ids = get_u32(bytes + 24),
        .n_logit_rows = get_u32(bytes + 28),
        .n_slots = get_u32(bytes + 32),
        .n_marks = get_u32(bytes + 36),
    };
    s = check_sizes(limits, &head, err);
    if (s != ST_OK)
        return s;
    head.table_bytes = (size_t)head.n_spans * STEP_SPAN_BYTES +
                       (size_t)head.n_page_ids * sizeof(uint32_t) +
                       (size_t)head.n_logit_rows * STEP_LOGIT_ROW_BYTES;
    head.trace_bytes =
        (size_t)head.n_slots * STEP_SLOT_BYTES + (size_t)head.n_marks * STEP_MARK_BYTES;
    head.payload_bytes = head.payload == STEP_TOKENS
                             ? (size_t)head.n_rows * sizeof(int32_t)
                             : (size_t)head.n_rows * limits->n_hidden * sizeof(float);
    *ret_head = head;
    return ST_OK;
}

/* Does the span fit the context, and do its pages cover it? */
static enum status check_span(const struct step_limits *limits, const struct engine_span *span,
                              uint32_t rows_left, uint32_t ids_left, struct err *err)
{
    if (span->n_rows == 0 || span->n_rows > rows_left)
        return err_set(err, ST_FORMAT, "a span of %u rows where %u are left", span->n_rows,
                       rows_left);
    if (span->start > limits->context_tokens || span->n_rows > limits->context_tokens - span->start)
        return err_set(err, ST_FORMAT, "a span at %u beyond the context of %u tokens", span->start,
                       limits->context_tokens);
    if (span->n_pages > ids_left || span->n_pages < pages_for(limits, span->start + span->n_rows))
        return err_set(err, ST_FORMAT, "a span with %u pages for %u tokens", span->n_pages,
                       span->start + span->n_rows);
    return ST_OK;
}

enum status step_read_table(const struct step_limits *limits, const struct step_head *head,
                            const uint8_t *bytes, struct engine_span *ret_spans,
                            uint32_t *ret_pages, struct err *err)
{
    const uint8_t *ids = bytes + (size_t)head->n_spans * STEP_SPAN_BYTES;
    uint32_t row = 0, n_ids = 0;

    for (uint32_t i = 0; i < head->n_spans; i++) {
        const uint8_t *p = bytes + (size_t)i * STEP_SPAN_BYTES;
        struct engine_span *span = &ret_spans[i];
        enum status s;

        *span = (struct engine_span){
            .first_row = row,
            .n_rows = get_u32(p),
            .start = get_u32(p + 4),
            .pages = ret_pages + n_ids,
            .n_pages = get_u32(p + 8),
        };
        s = check_span(limits, span, head->n_rows - row, head->n_page_ids - n_ids, err);
        if (s != ST_OK)
            return s;
        row += span->n_rows;
        n_ids += span->n_pages;
    }
    if (row != head->n_rows || n_ids != head->n_page_ids)
        return err_set(err, ST_FORMAT, "the spans of a step do not add up to its rows and pages");
    for (uint32_t i = 0; i < n_ids; i++) {
        ret_pages[i] = get_u32(ids + (size_t)i * 4);
        if (ret_pages[i] >= limits->n_pages)
            return err_set(err, ST_FORMAT, "page %u of %u", ret_pages[i], limits->n_pages);
    }
    return ST_OK;
}

enum status step_read_logit_rows(const struct step_head *head, const uint8_t *table,
                                 uint32_t *ret_rows, uint32_t *ret_asks, struct err *err)
{
    const uint8_t *p =
        table + head->table_bytes - (size_t)head->n_logit_rows * STEP_LOGIT_ROW_BYTES;

    for (uint32_t i = 0; i < head->n_logit_rows; i++, p += STEP_LOGIT_ROW_BYTES) {
        ret_rows[i] = get_u32(p);
        ret_asks[i] = get_u32(p + 4);
        if (!best_is_ask(ret_asks[i]))
            return err_set(err, ST_FORMAT, "a row of logits of which %u are wanted",
                           ret_asks[i] & BEST_COUNT_MASK);
        if (ret_rows[i] >= head->n_rows || (i > 0 && ret_rows[i] <= ret_rows[i - 1]))
            return err_set(err, ST_FORMAT, "rows of logits that do not ascend within a step");
    }
    return ST_OK;
}

size_t step_trace_bytes(const struct step_trace *t)
{
    return (size_t)t->n_slots * STEP_SLOT_BYTES + (size_t)t->n_marks * STEP_MARK_BYTES;
}

/* Requests that are not sampled have no mark, so a mark is sampled. */
static void write_mark(const struct step_mark *mark, uint8_t *p)
{
    put_u32(p, mark->slot);
    p += 4;
    memcpy(p, mark->trace.trace_id, TRACE_ID_BYTES);
    p += TRACE_ID_BYTES;
    memcpy(p, mark->trace.span_id, TRACE_SPAN_BYTES);
    p += TRACE_SPAN_BYTES;
    memcpy(p, mark->request_id, TRACE_REQUEST_MAX);
}

void step_write_trace(const struct step_trace *t, uint8_t *ret_header, uint8_t *ret_bytes)
{
    uint8_t *p = ret_bytes;

    put_u32(ret_header + 32, t->n_slots);
    put_u32(ret_header + 36, t->n_marks);
    for (uint32_t i = 0; i < t->n_slots; i++, p += STEP_SLOT_BYTES)
        put_u32(p, t->slots[i]);
    for (uint32_t i = 0; i < t->n_marks; i++, p += STEP_MARK_BYTES)
        write_mark(&t->marks[i], p);
}

static void read_mark(const uint8_t *p, struct step_mark *ret_mark)
{
    char request_id[TRACE_REQUEST_MAX];

    *ret_mark = (struct step_mark){ .slot = get_u32(p), .trace = { .is_sampled = true } };
    p += 4;
    memcpy(ret_mark->trace.trace_id, p, TRACE_ID_BYTES);
    p += TRACE_ID_BYTES;
    memcpy(ret_mark->trace.span_id, p, TRACE_SPAN_BYTES);
    p += TRACE_SPAN_BYTES;
    memcpy(request_id, p, TRACE_REQUEST_MAX);
    request_id[TRACE_REQUEST_MAX - 1] = '\0';
    trace_take_request_id(request_id, ret_mark->request_id);
}

enum status step_read_trace(const struct step_limits *limits, const struct step_head *head,
                            const uint8_t *bytes, uint32_t *ret_slots, struct step_mark *ret_marks,
                            struct err *err)
{
    const uint8_t *p = bytes;

    for (uint32_t i = 0; i < head->n_slots; i++, p += STEP_SLOT_BYTES) {
        ret_slots[i] = get_u32(p);
        if (ret_slots[i] > limits->max_spans)
            return err_set(err, ST_FORMAT, "slot %u of a step of %u spans", ret_slots[i],
                           limits->max_spans);
    }
    for (uint32_t i = 0; i < head->n_marks; i++, p += STEP_MARK_BYTES) {
        read_mark(p, &ret_marks[i]);
        if (ret_marks[i].slot >= limits->max_spans)
            return err_set(err, ST_FORMAT, "a mark of slot %u, at most %u are allowed",
                           ret_marks[i].slot, limits->max_spans);
    }
    return ST_OK;
}
