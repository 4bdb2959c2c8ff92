/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/step.h - one step's batch as it travels from rank to rank.
 *
 *   header  40 bytes: magic, version, payload kind, step number,
 *           rows, spans, page numbers, rows of logits, slots, marks
 *   table   spans x (n_rows, start, n_pages), then the page numbers of all spans, then the
 *           numbers of the rows whose logits are wanted, and what of each (execute/sample/best.h):
 *           where a team has the output matrix
 *   trace   where a sequence of the step is traced: the slot of each span, then what it stands for, of those slots
 *           that are new: so the ids of a request come once
 *   payload rows x i32 tokens, or rows x n_hidden x f32
 *
 * All numbers are little-endian u32, the step number u64.  A receiver knows
 * the instance's limits and refuses whatever is outside them before it is
 * stored, so a damaged or hostile message cannot reach the engine.
 *
 * Threads  one owner thread
 * Memory   nothing is allocated after step_wire_new()
 */
#ifndef POMONA_EXECUTE_SHARD_STEP_H
#define POMONA_EXECUTE_SHARD_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/trace.h"
#include "engine/engine.h"
#include "transport/transport.h"

enum {
    STEP_HEADER_BYTES = 40,
    STEP_SPAN_BYTES = 12,
    STEP_LOGIT_ROW_BYTES = 8,
    STEP_SLOT_BYTES = 4,
    STEP_MARK_BYTES = 4 + TRACE_ID_BYTES + TRACE_SPAN_BYTES + TRACE_REQUEST_MAX,
};

/* Of these bytes.  Ranks of one instance have to speak the same: nodes tell theirs (cluster/), and an
 * instance is placed on nodes of one version. */
uint32_t step_version(void);

enum step_payload {
    STEP_TOKENS = 1,
    STEP_HIDDEN = 2,
};

/* The same on every rank of an instance. */
struct step_limits {
    uint32_t max_rows;
    uint32_t max_spans;
    uint32_t context_tokens;
    uint32_t page_tokens, n_pages;
    uint32_t n_vocab, n_hidden;
    uint32_t max_logit_rows; /* 0: the driver has the whole output matrix, others need not know */
};

/* From now on this slot stands for that request. */
struct step_mark {
    uint32_t slot; /* 0 .. max_spans - 1 */
    struct trace_context trace;
    char request_id[TRACE_REQUEST_MAX];
};

/* Which spans of a step are of requests that are traced. */
struct step_trace {
    const uint32_t *slots;         /* [n_slots]: of each span its slot + 1; 0: it is not traced */
    uint32_t n_slots;              /* as many as spans; 0: none is traced */
    const struct step_mark *marks; /* [n_marks] */
    uint32_t n_marks;
};

/* What a header says, checked. */
struct step_head {
    uint64_t number;
    enum step_payload payload;
    uint32_t n_rows, n_spans, n_page_ids, n_logit_rows, n_slots, n_marks;
    size_t table_bytes, trace_bytes, payload_bytes;
};

/* Buffers for one batch in each direction. */
struct step_wire;

enum status step_wire_new(const struct step_limits *limits, struct step_wire **ret_wire,
                          struct err *err);
void step_wire_free(struct step_wire *wire); /* NULL is allowed */

/* Send `batch`, its payload tokens or hidden rows, whichever is set. */
enum status step_send(struct step_wire *wire, struct transport *t, uint32_t to, uint64_t number,
                      const struct engine_batch *batch, uint64_t deadline_ns, struct err *err);

/* Wait for a step until `deadline_ns`; once it began to arrive, the rest of
 * it must come within `rest_ms`.
 * ret_batch  lent until the next step_recv(); logit rows where limits.max_logit_rows is set
 * Errors     ST_FORMAT a limit is broken; as transport_recv() */
enum status step_recv(struct step_wire *wire, struct transport *t, uint32_t from,
                      uint64_t deadline_ns, uint64_t rest_ms, uint64_t *ret_number,
                      struct engine_batch *ret_batch, struct err *err);

/* What step_send() sends with its batch from now on, borrowed; what the last step_recv() got, lent until the next. */
void step_set_trace(struct step_wire *wire, const struct step_trace *trace);
const struct step_trace *step_trace(const struct step_wire *wire);

/* The pure parts, for tests. */
void step_write_header(uint64_t number, const struct engine_batch *batch, uint8_t *ret_bytes);
void step_write_table(const struct engine_batch *batch, uint8_t *ret_bytes);
enum status step_read_header(const struct step_limits *limits, const uint8_t *bytes,
                             struct step_head *ret_head, struct err *err);

/* ret_spans [n_spans] and ret_pages [n_page_ids], which the spans point into. */
enum status step_read_table(const struct step_limits *limits, const struct step_head *head,
                            const uint8_t *bytes, struct engine_span *ret_spans,
                            uint32_t *ret_pages, struct err *err);

/* The end of the table; ret_rows and ret_asks [n_logit_rows]. */
enum status step_read_logit_rows(const struct step_head *head, const uint8_t *table,
                                 uint32_t *ret_rows, uint32_t *ret_asks, struct err *err);

/* The trace, and its two numbers in the header; and the other way round: ret_slots [n_slots], ret_marks [n_marks]. */
size_t step_trace_bytes(const struct step_trace *trace);
void step_write_trace(const struct step_trace *trace, uint8_t *ret_header, uint8_t *ret_bytes);
enum status step_read_trace(const struct step_limits *limits, const struct step_head *head,
                            const uint8_t *bytes, uint32_t *ret_slots, struct step_mark *ret_marks,
                            struct err *err);

#endif
