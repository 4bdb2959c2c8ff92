/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cmd/test_sse.c - events are the same wherever the stream is cut. */
#include <string.h>

#include "support/check.h"

#include "cmd/bench/serve/sse.h"

static void collect(void *arg, const char *data, size_t n)
{
    buf_append(arg, data, n);
    buf_putc(arg, '|');
}

static const char stream[] = ": a comment\r\n"
                             "event: message\n"
                             "data: {\"a\":1}\r\n\r\n"
                             "data:no blank\n\n"
                             "data:  two blanks\n\n"
                             "data\n"
                             "data:\n\n"
                             "data: [DONE]\n\n";
static const char events[] = "{\"a\":1}|no blank| two blanks||[DONE]|";

static void any_cut_gives_the_same_events(void **state)
{
    const size_t n = sizeof(stream) - 1;

    (void)state;
    for (size_t cut = 0; cut <= n; cut++) {
        struct buf got = { 0 };
        struct sse sse = { 0 };

        assert_int_equal(sse_feed(&sse, stream, cut, collect, &got), ST_OK);
        assert_int_equal(sse_feed(&sse, stream + cut, n - cut, collect, &got), ST_OK);
        assert_string_equal(buf_text(&got), events);
        sse_release(&sse);
        buf_release(&got);
    }
}

static void a_line_without_an_end_is_no_event(void **state)
{
    struct buf got = { 0 };
    struct sse sse = { 0 };

    (void)state;
    assert_int_equal(sse_feed(&sse, "data: x", 7, collect, &got), ST_OK);
    assert_string_equal(buf_text(&got), "");
    sse_clear(&sse);
    assert_int_equal(sse_feed(&sse, "data: y\n", 8, collect, &got), ST_OK);
    assert_string_equal(buf_text(&got), "y|");
    sse_release(&sse);
    buf_release(&got);
}

static void an_endless_line_is_refused(void **state)
{
    static char block[1 << 16];
    struct buf got = { 0 };
    struct sse sse = { 0 };
    enum status s = ST_OK;
    int n_fed = 0;

    (void)state;
    memset(block, 'x', sizeof(block));
    for (; s == ST_OK && n_fed < 100; n_fed++)
        s = sse_feed(&sse, block, sizeof(block), collect, &got);
    assert_int_equal(s, ST_RANGE);
    assert_int_equal(n_fed, SSE_LINE_MAX_BYTES / sizeof(block) + 1);
    sse_release(&sse);
    buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cut_gives_the_same_events),
        cmocka_unit_test(a_line_without_an_end_is_no_event),
        cmocka_unit_test(an_endless_line_is_refused),
    };

    return cmocka_run_group_tests_name("cmd/sse", tests, NULL, NULL);
}
