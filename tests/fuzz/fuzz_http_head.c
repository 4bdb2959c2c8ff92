/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_http_head.c - any bytes as requests: the same is read of them however they come in.
 *
 * The first byte says in what pieces.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "net/http_head.h"

static const char *const texts[] = {
    "\001GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    ("\007POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcdGET / HTTP/1.1\r\nHost: "
     "a\r\n\r\n"),
    "\003POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
    "\100POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "\005GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
};
const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

struct seen {
    unsigned n_requests;
    size_t n_taken, n_hosts;
    enum http_fault fault;
    enum http_step step;
};

static struct seen read_all(const char *bytes, size_t n, size_t n_piece)
{
    static const struct http_bounds bounds = {
        .header_bytes = 4096,
        .header_lines = 32,
        .url_bytes = 1024,
        .body_bytes = 4096,
    };
    struct http_head h;
    struct seen seen = { .step = HTTP_MORE };

    http_head_init(&h, &bounds);
    while (seen.step != HTTP_WRONG && (seen.n_taken < n || seen.step == HTTP_HEAD)) {
        size_t taken;

        seen.step =
            http_head_feed(&h, bytes + seen.n_taken, size_min(n_piece, n - seen.n_taken), &taken);
        seen.n_taken += taken;
        if (seen.step == HTTP_HEAD)
            seen.n_hosts += http_head_count(&h, "host") + strlen(h.path) + strlen(h.method);
        if (seen.step != HTTP_END)
            continue;
        seen.n_requests++;
        http_head_next(&h);
    }
    seen.fault = h.fault;
    if ((seen.step == HTTP_WRONG) != (h.fault != HTTP_FINE))
        abort();
    http_head_release(&h);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct seen whole, pieces;

    if (n < 2)
        return 0;
    whole = read_all((const char *)bytes + 1, n - 1, n);
    pieces = read_all((const char *)bytes + 1, n - 1, (size_t)bytes[0] % 16 + 1);
    if (whole.n_requests != pieces.n_requests || whole.n_hosts != pieces.n_hosts ||
        whole.fault != pieces.fault || whole.step != pieces.step)
        abort();
    return 0;
}
