/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_step.c - steps survive the wire; damaged ones are refused.
 *
 * Damage is random with a fixed seed.  Whatever a reader accepts must obey
 * every limit: that is checked here again, independently.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "execute/sample/best.h"
#include "execute/shard/step.h"
#include "transport/inproc/inproc.h"

static const struct step_limits limits = { .max_rows = 32,
                                           .max_spans = 4,
                                           .context_tokens = 100,
                                           .page_tokens = 16,
                                           .n_pages = 20,
                                           .n_vocab = 50,
                                           .n_hidden = 3 };

enum { TABLE_BYTES = 2 * STEP_SPAN_BYTES + 6 * 4, N_DAMAGED = 200000 };

static const uint32_t pages_a[] = { 3, 19, 7, 0, 4 }, pages_b[] = { 11 };
static const struct engine_span spans[] = {
    { .first_row = 0, .n_rows = 6, .start = 70, .pages = pages_a, .n_pages = 5 },
    { .first_row = 6, .n_rows = 2, .start = 0, .pages = pages_b, .n_pages = 1 },
};
static const int32_t tokens[8] = { 0, 49, 3, 4, 5, 6, 7, 8 };

static struct engine_batch token_batch(void)
{
    return (struct engine_batch){ .n_rows = 8, .tokens = tokens, .spans = spans, .n_spans = 2 };
}

struct wires {
    struct transport *ends[2];
    struct step_wire *out, *in;
};

static int set_up(void **state)
{
    struct wires *w = calloc(1, sizeof(*w));

    *state = w;
    return inproc_new(2, w->ends, NULL) == ST_OK &&
                   step_wire_new(&limits, &w->out, NULL) == ST_OK &&
                   step_wire_new(&limits, &w->in, NULL) == ST_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct wires *w = *state;

    transport_close(w->ends[0]);
    transport_close(w->ends[1]);
    step_wire_free(w->out);
    step_wire_free(w->in);
    free(w);
    return 0;
}

static enum status pass(struct wires *w, const struct engine_batch *batch,
                        struct engine_batch *ret_batch)
{
    uint64_t number = 0;
    enum status s =
        step_send(w->out, w->ends[0], 1, 0x123456789abcdef0, batch, deadline_after_ms(1000), NULL);

    if (s == ST_OK)
        s = step_recv(w->in, w->ends[1], 0, deadline_after_ms(1000), 1000, &number, ret_batch,
                      NULL);
    if (s == ST_OK)
        assert_true(number == 0x123456789abcdef0);
    return s;
}

static void a_step_of_tokens_arrives_as_it_was(void **state)
{
    const struct engine_batch batch = token_batch();
    struct engine_batch got;

    assert_int_equal(pass(*state, &batch, &got), ST_OK);
    assert_int_equal(got.n_rows, 8);
    assert_null(got.hidden);
    assert_memory_equal(got.tokens, tokens, sizeof(tokens));
    assert_int_equal(got.n_spans, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(got.spans[i].first_row, spans[i].first_row);
        assert_int_equal(got.spans[i].n_rows, spans[i].n_rows);
        assert_int_equal(got.spans[i].start, spans[i].start);
        assert_int_equal(got.spans[i].n_pages, spans[i].n_pages);
        assert_memory_equal(got.spans[i].pages, spans[i].pages, spans[i].n_pages * 4);
    }
}

static void a_step_of_hidden_rows_arrives_bit_for_bit(void **state)
{
    float hidden[8 * 3];
    struct engine_batch batch = token_batch(), got;

    for (int i = 0; i < 24; i++)
        hidden[i] = 1.0f / (float)(i + 3);
    batch.tokens = NULL;
    batch.hidden = hidden;
    assert_int_equal(pass(*state, &batch, &got), ST_OK);
    assert_null(got.tokens);
    assert_memory_equal(got.hidden, hidden, sizeof(hidden));
}

/* Where a team has the output matrix, every member has to know whose logits are wanted. */
static void rows_of_logits_arrive_where_limits_have_them(void **state)
{
    static const uint32_t rows[] = { 0, 5, 7 }, wrong[] = { 5, 5 };
    struct engine_batch batch = token_batch(), got;
    struct step_limits with_logits = limits;
    struct wires *w = *state;

    batch.logit_rows = rows;
    batch.n_logit_rows = 3;
    assert_int_equal(pass(w, &batch, &got), ST_OK);
    assert_int_equal(got.n_logit_rows, 0); /* a pipeline's step says nothing of them */
    step_wire_free(w->out);
    step_wire_free(w->in);
    w->out = w->in = NULL;
    with_logits.max_logit_rows = 3;
    assert_int_equal(step_wire_new(&with_logits, &w->out, NULL), ST_OK);
    assert_int_equal(step_wire_new(&with_logits, &w->in, NULL), ST_OK);
    assert_int_equal(pass(w, &batch, &got), ST_OK);
    assert_int_equal(got.n_logit_rows, 3);
    assert_memory_equal(got.logit_rows, rows, sizeof(rows));
    batch.logit_rows = wrong;
    batch.n_logit_rows = 2;
    assert_int_equal(pass(w, &batch, &got), ST_FORMAT);
}

static void rows_of_logits_beyond_the_step_are_refused(void **state)
{
    static const uint32_t beyond[] = { 8 }, many[] = { 0, 1, 2, 3 };
    struct step_limits with_logits = limits;
    struct engine_batch batch = token_batch(), got;
    struct wires *w = *state;

    step_wire_free(w->out);
    step_wire_free(w->in);
    w->out = w->in = NULL;
    with_logits.max_logit_rows = 3;
    assert_int_equal(step_wire_new(&with_logits, &w->out, NULL), ST_OK);
    assert_int_equal(step_wire_new(&with_logits, &w->in, NULL), ST_OK);
    batch.logit_rows = many;
    batch.n_logit_rows = 4;
    assert_int_equal(pass(w, &batch, &got), ST_FORMAT); /* and nothing was sent */
    batch.logit_rows = beyond;
    batch.n_logit_rows = 1;
    assert_int_equal(pass(w, &batch, &got), ST_FORMAT);
}

static void a_step_beyond_the_limits_is_not_sent(void **state)
{
    struct engine_batch batch = token_batch(), got;

    batch.n_rows = 33;
    assert_int_equal(pass(*state, &batch, &got), ST_FORMAT);
}

static void a_token_outside_the_vocabulary_is_refused(void **state)
{
    const int32_t bad[8] = { 0, 50 };
    struct engine_batch batch = token_batch(), got;

    batch.tokens = bad;
    assert_int_equal(pass(*state, &batch, &got), ST_FORMAT);
}

static void assert_limits_hold(const struct step_head *head, const struct engine_span *got)
{
    uint32_t row = 0;

    assert_in_range(head->n_rows, 1, limits.max_rows);
    assert_in_range(head->n_spans, 1, limits.max_spans);
    for (uint32_t i = 0; i < head->n_spans; i++) {
        assert_int_equal(got[i].first_row, row);
        assert_in_range(got[i].n_rows, 1, limits.max_rows);
        assert_in_range((uint64_t)got[i].start + got[i].n_rows, 1, limits.context_tokens);
        assert_true(got[i].n_pages * limits.page_tokens >= got[i].start + got[i].n_rows);
        for (uint32_t k = 0; k < got[i].n_pages; k++)
            assert_in_range(got[i].pages[k], 0, limits.n_pages - 1);
        row += got[i].n_rows;
    }
    assert_int_equal(row, head->n_rows);
}

static void damaged_steps_are_refused_or_within_limits(void **state)
{
    const struct engine_batch batch = token_batch();
    uint8_t header[STEP_HEADER_BYTES], table[4 * STEP_SPAN_BYTES + 28 * 4];
    uint32_t x = 20240117;
    size_t n_refused = 0;

    (void)state;
    for (size_t n = 0; n < N_DAMAGED; n++) {
        struct engine_span got[4];
        uint32_t pages[28];
        struct step_head head;

        memset(table, 0, sizeof(table));
        step_write_header(n, &batch, header);
        step_write_table(&batch, table);
        for (uint32_t k = 0; k < 1 + n % 3; k++) {
            x = x * 1664525u + 1013904223u; /* Numerical Recipes LCG */
            if (n % 2 == 0)
                header[(x >> 8) % sizeof(header)] ^= (uint8_t)(1u << (x >> 28 & 7));
            else
                table[(x >> 8) % TABLE_BYTES] = (uint8_t)(x >> 24);
        }
        if (step_read_header(&limits, header, &head, NULL) != ST_OK) {
            n_refused++;
            continue;
        }
        assert_in_range(head.table_bytes, STEP_SPAN_BYTES, sizeof(table));
        if (step_read_table(&limits, &head, table, got, pages, NULL) != ST_OK)
            n_refused++;
        else
            assert_limits_hold(&head, got);
    }
    assert_true(n_refused > N_DAMAGED / 3);
}

static void the_rest_of_a_step_has_a_deadline(void **state)
{
    struct wires *w = *state;
    const struct engine_batch batch = token_batch();
    uint8_t header[STEP_HEADER_BYTES];
    struct engine_batch got;
    uint64_t number;

    step_write_header(1, &batch, header);
    assert_int_equal(
        transport_send(w->ends[0], 1, header, sizeof(header), deadline_after_ms(1000), NULL),
        ST_OK);
    assert_int_equal(step_recv(w->in, w->ends[1], 0, DEADLINE_NEVER, 20, &number, &got, NULL),
                     ST_DEADLINE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void what_is_wanted_of_logits_travels_and_is_checked(void **state)
{
    static const uint32_t rows[] = { 5, 7 };
    static const uint32_t bad[] = { BEST_WITH_SUM, BEST_MAX + 1, 1u << 20 };
    uint32_t asks[] = { 0, 40 | BEST_WITH_SUM }, got_rows[2], got_asks[2];
    struct step_limits of_team = limits;
    struct engine_batch batch = token_batch();
    uint8_t header[STEP_HEADER_BYTES], table[TABLE_BYTES + 2 * STEP_LOGIT_ROW_BYTES];
    struct step_head head;
    struct err err;

    (void)state;
    of_team.max_logit_rows = 4;
    batch.logit_rows = rows;
    batch.n_logit_rows = 2;
    batch.asks = asks;
    step_write_header(1, &batch, header);
    assert_ok(step_read_header(&of_team, header, &head, &err), err);
    assert_int_equal(head.table_bytes, sizeof(table));
    step_write_table(&batch, table);
    assert_ok(step_read_logit_rows(&head, table, got_rows, got_asks, &err), err);
    assert_memory_equal(got_rows, rows, sizeof(rows));
    assert_memory_equal(got_asks, asks, sizeof(asks));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        asks[1] = bad[i];
        step_write_table(&batch, table);
        assert_int_equal(step_read_logit_rows(&head, table, got_rows, got_asks, &err), ST_FORMAT);
    }
}

static struct step_mark mark_of(uint32_t slot)
{
    return (
        struct step_mark){ .slot = slot,
                           .trace = { .trace_id = { 1, 2 }, .span_id = { 3 }, .is_sampled = true },
                           .request_id = "req_1" };
}

static void what_is_traced_travels_with_the_step(void **state)
{
    static const uint32_t slots[] = { 0, 4 };
    const struct step_mark marks[] = { mark_of(3) };
    const struct step_trace trace = { slots, 2, marks, 1 };
    struct wires *w = *state;
    const struct engine_batch batch = token_batch();
    const struct step_trace *got;
    struct engine_batch ignored;

    step_set_trace(w->out, &trace);
    assert_int_equal(pass(w, &batch, &ignored), ST_OK);
    got = step_trace(w->in);
    assert_int_equal(got->n_slots, 2);
    assert_int_equal(got->slots[0], 0);
    assert_int_equal(got->slots[1], 4);
    assert_int_equal(got->n_marks, 1);
    assert_memory_equal(&got->marks[0], &marks[0], sizeof(marks[0]));
    step_set_trace(w->out, &(struct step_trace){ 0 });
    assert_int_equal(pass(w, &batch, &ignored), ST_OK);
    assert_int_equal(step_trace(w->in)->n_slots, 0);
}

static void damaged_traces_are_refused_or_within_limits(void **state)
{
    static const uint32_t slots[] = { 1, 2 };
    const struct step_mark marks[] = { mark_of(0), mark_of(1) };
    const struct step_trace trace = { slots, 2, marks, 2 };
    const struct engine_batch batch = token_batch();
    uint8_t header[STEP_HEADER_BYTES], bytes[2 * (STEP_SLOT_BYTES + STEP_MARK_BYTES)];
    struct step_head head;
    size_t n_refused = 0;
    uint32_t x = 20241126;

    (void)state;
    assert_int_equal(step_trace_bytes(&trace), sizeof(bytes));
    for (size_t n = 0; n < N_DAMAGED; n++) {
        struct step_mark got[4];
        uint32_t got_slots[4];

        step_write_header(n, &batch, header);
        step_write_trace(&trace, header, bytes);
        x = x * 1664525u + 1013904223u; /* Numerical Recipes LCG */
        if (n % 2 == 0)
            header[32 + (x >> 8) % 8] ^= (uint8_t)(1u << (x >> 28 & 7));
        else
            bytes[(x >> 8) % sizeof(bytes)] = (uint8_t)(x >> 24);
        if (step_read_header(&limits, header, &head, NULL) != ST_OK) {
            n_refused++;
            continue;
        }
        assert_in_range(head.trace_bytes, 0, sizeof(bytes));
        if (step_read_trace(&limits, &head, bytes, got_slots, got, NULL) != ST_OK) {
            n_refused++;
            continue;
        }
        for (uint32_t i = 0; i < head.n_slots; i++)
            assert_in_range(got_slots[i], 0, limits.max_spans);
        for (uint32_t i = 0; i < head.n_marks; i++) {
            assert_in_range(got[i].slot, 0, limits.max_spans - 1);
            assert_int_equal(got[i].request_id[TRACE_REQUEST_MAX - 1], '\0');
        }
    }
    assert_true(n_refused > N_DAMAGED / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_traced_travels_with_the_step),
        CASE(damaged_traces_are_refused_or_within_limits),
        CASE(a_step_of_tokens_arrives_as_it_was),
        CASE(a_step_of_hidden_rows_arrives_bit_for_bit),
        CASE(rows_of_logits_arrive_where_limits_have_them),
        CASE(rows_of_logits_beyond_the_step_are_refused),
        CASE(a_step_beyond_the_limits_is_not_sent),
        CASE(a_token_outside_the_vocabulary_is_refused),
        CASE(damaged_steps_are_refused_or_within_limits),
        CASE(the_rest_of_a_step_has_a_deadline),
        cmocka_unit_test(what_is_wanted_of_logits_travels_and_is_checked),
    };

    return cmocka_run_group_tests_name("execute/step", tests, NULL, NULL);
}
