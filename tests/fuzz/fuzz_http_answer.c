/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_http_answer.c - any bytes as an answer: the same is read of them however they come in.
 *
 * The first byte says in what pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "net/http_answer.h"

static const char *const texts[] = {
    "\001HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\nabcd",
    "\003HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nabcd\r\n0\r\nx: y\r\n\r\n",
    "\005HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 503 x\r\nRetry-After: 7\r\nConnection: keep-alive\r\n\r\nabc",
    "\100HTTP/1.1 204 No Content\r\nConnection: x, close\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
};
const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

struct seen {
    enum http_answer_step step;
    size_t n_taken, n_body;
    unsigned sum;
    bool is_kept;
    struct http_answer_head head;
};

static struct seen read_all(const char *bytes, size_t n, size_t n_piece)
{
    struct http_answer a = { 0 };
    struct seen seen = { .step = HTTP_ANSWER_MORE };

    http_answer_init(&a);
    while (seen.step != HTTP_ANSWER_WRONG && seen.step != HTTP_ANSWER_END &&
           (seen.n_taken < n || seen.step == HTTP_ANSWER_HEAD || seen.step == HTTP_ANSWER_PIECE)) {
        const char *piece = NULL;
        size_t taken, n_body = 0;

        seen.step = http_answer_feed(&a, bytes + seen.n_taken, size_min(n_piece, n - seen.n_taken),
                                     &taken, &piece, &n_body);
        if (seen.step == HTTP_ANSWER_PIECE) {
            if (piece < bytes || piece + n_body > bytes + n || n_body == 0)
                abort();
            for (size_t i = 0; i < n_body; i++)
                seen.sum = seen.sum * 31 + (unsigned char)piece[i];
            seen.n_body += n_body;
        }
        if (seen.step == HTTP_ANSWER_HEAD)
            seen.head = a.head;
        seen.n_taken += taken;
    }
    if (seen.step != HTTP_ANSWER_WRONG && seen.step != HTTP_ANSWER_END)
        seen.step = http_answer_closed(&a);
    seen.is_kept = seen.step == HTTP_ANSWER_END && a.is_kept;
    http_answer_release(&a);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct seen whole, pieces;

    if (n < 2)
        return 0;
    whole = read_all((const char *)bytes + 1, n - 1, n);
    pieces = read_all((const char *)bytes + 1, n - 1, (size_t)bytes[0] % 16 + 1);
    if (whole.step != pieces.step || whole.n_body != pieces.n_body || whole.sum != pieces.sum ||
        whole.is_kept != pieces.is_kept || whole.head.status != pieces.head.status ||
        whole.head.retry_after_s != pieces.head.retry_after_s ||
        strcmp(whole.head.type, pieces.head.type) != 0)
        abort();
    return 0;
}
