/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_events.c - whatever an upstream streams is cut where events end, and says the same however
 * it came.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "flow/upstream/events.h"

static const char *const texts[] = {
    "data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n",
    "data:{\"a\":1,\"resume_tokens\":12}\r\n\r\n: comment\r\n\r\ndata: [DONE]\r\n\r\n",
    "event: error\ndata: {\"error\":{\"message\":\"no\",\"code\":500}}\n\n",
    "data: {\"text\":\"\\\"resume_tokens\\\":9\",\"resume_tokens\":18446744073709551615}\n\n\n\ndata\n\n",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct events_seen whole = { 0 }, cut = { 0 };
    const size_t n_whole = events_whole((const char *)bytes, n);
    size_t begin = 0, end = 0;

    if (n_whole > n || (n_whole > 0 && bytes[n_whole - 1] != '\n'))
        abort();
    events_look(&whole, (const char *)bytes, n_whole);
    while (end < n) {
        size_t k;

        end = size_min(end + 1 + n % 13, n);
        k = events_whole((const char *)bytes + begin, end - begin);
        events_look(&cut, (const char *)bytes + begin, k);
        begin += k;
    }
    while (begin < n_whole && (bytes[begin] == '\n' || bytes[begin] == '\r'))
        begin++; /* an empty line more is no event */
    if (begin != n_whole || whole.n_events != cut.n_events || whole.is_done != cut.is_done ||
        whole.has_error != cut.has_error || whole.resume_tokens != cut.resume_tokens)
        abort();
    return 0;
}
