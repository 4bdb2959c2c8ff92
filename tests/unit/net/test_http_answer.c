/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_http_answer.c - answers of servers: one meaning, however the bytes come. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "net/http_answer.h"
#include "support/allocations.h"

struct read {
    enum http_answer_step step;
    struct http_answer_head head;
    char body[256];
    size_t n_body, n_taken;
    bool is_kept;
};

/* In pieces of `n_piece` bytes, and then the connection ends if `closes`. */
static struct read feed(const char *text, size_t n, size_t n_piece, bool closes)
{
    struct http_answer a = { 0 };
    struct read r = { .step = HTTP_ANSWER_MORE };

    http_answer_init(&a);
    while (r.step != HTTP_ANSWER_END && r.step != HTTP_ANSWER_WRONG &&
           (r.n_taken < n || r.step != HTTP_ANSWER_MORE)) {
        const char *piece = NULL;
        size_t taken, n_body = 0;

        r.step = http_answer_feed(&a, text + r.n_taken, size_min(n_piece, n - r.n_taken), &taken,
                                  &piece, &n_body);
        if (r.step == HTTP_ANSWER_PIECE && r.n_body + n_body < sizeof(r.body)) {
            memcpy(r.body + r.n_body, piece, n_body);
            r.n_body += n_body;
        }
        if (r.step == HTTP_ANSWER_HEAD)
            r.head = a.head;
        r.n_taken += taken;
    }
    if (closes && r.step == HTTP_ANSWER_MORE)
        r.step = http_answer_closed(&a);
    r.is_kept = a.is_kept;
    http_answer_release(&a);
    return r;
}

static void an_answer_ends_where_it_says(void **state)
{
    static const struct {
        const char *text, *body;
        int status;
        bool is_kept;
    } rows[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, true },
        { "HTTP/1.1 200\r\ncontent-length:5\r\nContent-Length: 5 \r\n\r\nhello", "hello", 200,
          true },
        { "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "hi", 200, false },
        { "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 2\n\nhi", "hi", 200, true },
        { "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", 200,
          false },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
          "hello", 200, true },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n00\r\nA: b\r\nC: d\r\n\r\n", "",
          200, true },
        { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
          "x", 200, false },
        { "HTTP/1.1 204 No Content\r\n\r\n", "", 204, true },
        { "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "", 304, true },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nContent-Length: 3\r\n\r\nHTTP/1.1 429 "
          "y\r\nContent-Length: 1\r\n\r\n!",
          "!", 429, true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t n_piece = 1; n_piece < 200; n_piece++) {
            const size_t n = strlen(rows[i].text);
            char text[512];
            struct read r;

            (void)snprintf(text, sizeof(text), "%sHTTP/1.1 500 x\r\n", rows[i].text);
            r = feed(text, strlen(text), n_piece, false);
            assert_int_equal(r.step, HTTP_ANSWER_END);
            assert_int_equal(r.n_taken, n);
            assert_int_equal(r.head.status, rows[i].status);
            assert_int_equal(r.n_body, strlen(rows[i].body));
            assert_memory_equal(r.body, rows[i].body, r.n_body);
            assert_int_equal(r.is_kept, rows[i].is_kept);
        }
}

static void without_a_length_it_ends_with_its_connection(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nhello";
    struct read r = feed(text, sizeof(text) - 1, 7, true);

    (void)state;
    assert_int_equal(r.step, HTTP_ANSWER_END);
    assert_int_equal(r.n_body, 5);
    assert_false(r.is_kept);
}

static void one_that_is_cut_off_is_wrong(void **state)
{
    static const char *const rows[] = {
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(feed(rows[i], strlen(rows[i]), 9, true).step, HTTP_ANSWER_WRONG);
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const rows[] = {
        "ICY 200 OK\r\n",
        "HTTP/2 200 OK\r\n",
        "HTTP/1.1  200 OK\r\n",
        "HTTP/1.1 2000 OK\r\n",
        "HTTP/1.1 20x OK\r\n",
        "HTTP/1.1 099 OK\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n",
        "HTTP/1.1 200 OK\r\n: empty\r\n",
        "HTTP/1.1 200 OK\r\nName : x\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t n_piece = 1; n_piece < 100; n_piece++) {
            char text[256];

            (void)snprintf(text, sizeof(text), "%s\r\n\r\n", rows[i]);
            assert_int_equal(feed(text, strlen(text), n_piece, false).step, HTTP_ANSWER_WRONG);
        }
}

static void a_head_or_a_chunk_line_without_end_is_refused(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nX: ",
                      chunk[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
    const size_t n = HTTP_ANSWER_HEAD_MAX + 100;
    char *text = malloc(n);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', n);
    memcpy(text, head, sizeof(head) - 1);
    assert_int_equal(feed(text, n, 1000, false).step, HTTP_ANSWER_WRONG);
    memcpy(text, chunk, sizeof(chunk) - 1);
    assert_int_equal(feed(text, HTTP_ANSWER_LINE_MAX + 100, 1000, false).step, HTTP_ANSWER_WRONG);
    free(text);
}

static void what_is_said_of_it_is_kept(void **state)
{
    static const char text[] = "HTTP/1.1 503 x\r\ncontent-type: \ttext/event-stream; charset=utf-8 "
                               "\r\nRetry-After: 12\r\nContent-Length: 0\r\n\r\n";
    struct read r = feed(text, sizeof(text) - 1, 3, false);

    (void)state;
    assert_string_equal(r.head.type, "text/event-stream; charset=utf-8");
    assert_int_equal(r.head.retry_after_s, 12);
    assert_int_equal(r.head.status, 503);
}

static void without_memory_it_is_wrong_and_nothing_else(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    bool has_failed = true;

    (void)state;
    for (size_t k = 1; has_failed; k++) {
        enum http_answer_step step;

        allocations_fail_at(k);
        step = feed(text, sizeof(text) - 1, 1, false).step;
        has_failed = allocations_failed();
        allocations_fail_at(0);
        assert_int_equal(step, has_failed ? HTTP_ANSWER_WRONG : HTTP_ANSWER_END);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_ends_where_it_says),
        cmocka_unit_test(without_a_length_it_ends_with_its_connection),
        cmocka_unit_test(one_that_is_cut_off_is_wrong),
        cmocka_unit_test(what_could_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_head_or_a_chunk_line_without_end_is_refused),
        cmocka_unit_test(what_is_said_of_it_is_kept),
        cmocka_unit_test(without_memory_it_is_wrong_and_nothing_else),
    };

    return cmocka_run_group_tests_name("net/http_answer", tests, NULL, NULL);
}
