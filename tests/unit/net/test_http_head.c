/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_http_head.c - requests read ahead: one meaning, however the bytes come. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "net/http_head.h"
#include "support/allocations.h"

static const struct http_bounds bounds = {
    .header_bytes = 512,
    .header_lines = 8,
    .url_bytes = 64,
    .body_bytes = 1000,
};

#define HOST "Host: x\r\n"

/* Feed `text` in pieces of `n_piece` bytes; the last step, and how many bytes belong to the request. */
static enum http_step feed(struct http_head *h, const char *text, size_t n, size_t n_piece,
                           size_t *ret_n)
{
    enum http_step step = HTTP_MORE;
    size_t at = 0;

    while (at < n || step == HTTP_HEAD) {
        size_t taken;

        step = http_head_feed(h, text + at, size_min(n_piece, n - at), &taken);
        at += taken;
        if (step == HTTP_END || step == HTTP_WRONG)
            break;
    }
    *ret_n = at;
    return step;
}

static void a_request_ends_where_it_says(void **state)
{
    static const char *const rows[] = {
        "GET / HTTP/1.1\r\n" HOST "\r\n",
        "GET /a?b=c%20d HTTP/1.0\r\n\r\n",
        "POST /v1/x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello",
        "POST /v1/x HTTP/1.1\r\n" HOST "content-length:  0 \r\n\r\n",
        "POST /v1/x HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
        "3\r\nhel\r\n02\r\nlo\r\n0\r\n\r\n",
        "DELETE /x HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}",
        "POST /x HTTP/1.1\r\n" HOST "Connection: keep-alive\r\n\r\n",
        "GET http://x/a?b HTTP/1.1\r\n" HOST "X:\r\nY: \xe9\tz\r\n\r\n",
        "POST /x HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n1",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t n_piece = 1; n_piece < 300; n_piece += n_piece < 20 ? 1 : 50) {
            const size_t n = strlen(rows[i]);
            struct http_head h;
            char text[512];
            size_t n_taken;

            (void)snprintf(text, sizeof(text), "%sGET /next", rows[i]);
            http_head_init(&h, &bounds);
            if (feed(&h, text, strlen(text), n_piece, &n_taken) != HTTP_END || n_taken != n)
                fail_msg("%s\nin pieces of %zu ends at %zu of %zu: %s", rows[i], n_piece, n_taken,
                         n, http_fault_words(h.fault));
            http_head_next(&h);
            assert_true(http_head_is_fresh(&h));
            http_head_release(&h);
        }
}

static void a_header_is_found_by_its_name(void **state)
{
    static const char text[] = "POST http://x:1/a/b?c HTTP/1.1\r\n" HOST
                               "AUTHORIZATION:   Bearer a b \t\r\nx: 1\r\nX: 2\r\n\r\n";
    struct http_head h;
    size_t n;

    (void)state;
    http_head_init(&h, &bounds);
    assert_int_equal(http_head_feed(&h, text, 31, &n), HTTP_MORE);
    assert_null(http_head_find(&h, "x"));
    for (size_t at = n; http_head_feed(&h, text + at, sizeof(text) - 1 - at, &n) == HTTP_MORE;)
        at += n;
    assert_string_equal(h.method, "POST");
    assert_string_equal(h.path, "/a/b");
    assert_string_equal(http_head_find(&h, "Authorization"), "Bearer a b");
    assert_string_equal(http_head_find(&h, "X"), "1");
    assert_int_equal(http_head_count(&h, "x"), 2);
    assert_null(http_head_find(&h, "POST"));
    assert_int_equal(http_head_count(&h, "Hos"), 0);
    assert_false(h.has_body);
    http_head_release(&h);
}

#define LONG_70 "/234567890123456789012345678901234567890123456789012345678901234567890"

static void what_has_two_meanings_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum http_fault fault;
    } rows[] = {
        { "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\n" HOST "\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X: a\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n Host: x\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1\r\n" HOST "\xc3\xa4: a\r\n\r\n", HTTP_MALFORMED },
        { "GET  / HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET / HTTP/1.1 \r\n" HOST "\r\n", HTTP_VERSION },
        { "GET / HTTP/2.0\r\n" HOST "\r\n", HTTP_VERSION },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_VERSION },
        { "GET / http/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET /\r\n", HTTP_MALFORMED },
        { "GET /\xff HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET /a#b HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET * HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET x HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "GET http://[::1 HTTP/1.1\r\n" HOST "\r\n", HTTP_MALFORMED },
        { "get / HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD },
        { "CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD },
        { "GET / HTTP/1.1\r\n\r\n", HTTP_HOST },
        { "GET / HTTP/1.1\r\n" HOST HOST "\r\n", HTTP_HOST },
        { "GET " LONG_70 " HTTP/1.1\r\n" HOST "\r\n", HTTP_URL_LONG },
        { "GET / HTTP/1.1\r\n" HOST "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n",
          HTTP_HEADER_LONG },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n1",
          HTTP_LENGTHS },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          HTTP_LENGTHS },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n1", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n1", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n1", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n1", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: \t1\r\n\r\n1", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", HTTP_LENGTH },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", HTTP_BODY_LONG },
        { "POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n", HTTP_EXPECTATION },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", HTTP_CODING },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", HTTP_CODING },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\tchunked\r\n\r\n", HTTP_CODING },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
          HTTP_LENGTHS },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_MALFORMED },
        { "HEAD / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", HTTP_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t n_piece = 1; n_piece < 4000; n_piece *= 3) {
            struct http_head h;
            size_t n;

            http_head_init(&h, &bounds);
            if (feed(&h, rows[i].text, strlen(rows[i].text), n_piece, &n) != HTTP_WRONG ||
                h.fault != rows[i].fault)
                fail_msg("%s\n-> %d, not %d", rows[i].text, h.fault, rows[i].fault);
            http_head_release(&h);
        }
}

static void chunks_are_taken_in_one_form(void **state)
{
    static const char *const wrong[] = {
        "\r\n",          "5;a=b\r\nhello\r\n",
        "0x5\r\n",       " 5\r\n",
        "-5\r\n",        "5 \r\n",
        "123456789\r\n", "5\nhello",
        "1\r\nxx\r\n",   "g\r\n",
        "0\r\nA: b\r\n", "0\r\n\n",
        "3e9\r\n",       "3e8\r\n",
        "5\r\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        static const char head[] = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                                   "1\r\nx\r\n";
        struct http_head h;
        size_t n;

        http_head_init(&h, &bounds);
        assert_int_equal(feed(&h, head, sizeof(head) - 1, 7, &n), HTTP_MORE);
        if (feed(&h, wrong[i], strlen(wrong[i]), 1, &n) != HTTP_WRONG ||
            (h.fault != HTTP_CHUNK && h.fault != HTTP_BODY_LONG))
            fail_msg("%s was taken", wrong[i]);
        http_head_release(&h);
    }
}

static void a_header_without_an_end_is_bounded(void **state)
{
    static const char x[64] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct http_head h;
    size_t n, n_all = 0, n_line;

    (void)state;
    http_head_init(&h, &bounds);
    assert_int_equal(feed(&h, "GET / HTTP/1.1\r\nX: ", 19, 19, &n_line), HTTP_MORE);
    while (http_head_feed(&h, x, sizeof(x), &n) == HTTP_MORE)
        n_all += n;
    assert_int_equal(h.fault, HTTP_HEADER_LONG);
    assert_true(n_all < bounds.header_bytes && h.text.capacity <= 2 * bounds.header_bytes);
    http_head_release(&h);
}

static void without_memory_it_is_refused(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    enum http_step step = HTTP_WRONG;

    (void)state;
    for (unsigned k = 1; step == HTTP_WRONG; k++) {
        struct http_head h;
        size_t n;

        http_head_init(&h, &bounds);
        allocations_fail_at(k);
        step = feed(&h, text, sizeof(text) - 1, 1, &n);
        allocations_fail_at(0);
        assert_true(step == HTTP_END || h.fault == HTTP_NO_MEMORY || h.fault == HTTP_MALFORMED);
        http_head_release(&h);
    }
    assert_int_equal(step, HTTP_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* The fuzz target on requests that were damaged here and there: it ends the program if the pieces matter. */
static void damaged_requests_read_the_same_in_pieces(void **state)
{
    static const char good[] = "xGET /a?b HTTP/1.1\r\n" HOST "X-A: b\r\n\r\n"
                               "POST /b HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                               "POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "3\r\nabc\r\n0\r\n\r\nDELETE /d HTTP/1.0\r\n\r\n";
    static const char odd[] = "\r\n :\t0159afx\0\xff/%?#-+,;HTc";
    uint64_t random = 7;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char bytes[sizeof(good) - 1];

        memcpy(bytes, good, sizeof(bytes));
        for (int k = 0; k < 1 + i % 3; k++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            bytes[(random >> 33) % sizeof(bytes)] = odd[(random >> 20) % sizeof(odd)];
        }
        bytes[0] = (char)(random >> 40);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)bytes, sizeof(bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_ends_where_it_says),
        cmocka_unit_test(a_header_is_found_by_its_name),
        cmocka_unit_test(what_has_two_meanings_is_refused),
        cmocka_unit_test(chunks_are_taken_in_one_form),
        cmocka_unit_test(a_header_without_an_end_is_bounded),
        cmocka_unit_test(without_memory_it_is_refused),
        cmocka_unit_test(damaged_requests_read_the_same_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
