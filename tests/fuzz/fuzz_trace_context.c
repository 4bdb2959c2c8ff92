/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_trace_context.c - whatever a traceparent or a tracestate holds, what is taken of it is well formed.
 *
 * A traceparent that is taken is written again as one that is taken, with the same ids; a tracestate that is passed on
 * has nothing that could end its header.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "trace/context.h"

static const char *const texts[] = {
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what-comes",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-00000000000000000000000000000000-b7ad6b7169203331-01",
    "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    "tenant@vendor=1 , ,a*b/c_d-e=x y",
    "0ten@s=~,0ten@s=!",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static void check_parent(const char *text)
{
    struct trace_context a, b;
    char again[TRACE_PARENT_MAX];

    if (!trace_context_read(text, &a))
        return;
    trace_context_write(&a, again);
    if (!trace_context_is_set(&a) || strlen(again) != TRACE_PARENT_MAX - 1 ||
        !trace_context_read(again, &b) || memcmp(a.trace_id, b.trace_id, sizeof(a.trace_id)) != 0 ||
        memcmp(a.span_id, b.span_id, sizeof(a.span_id)) != 0 || a.is_sampled != b.is_sampled)
        abort();
}

static void check_state(const char *text)
{
    if (!trace_state_is_valid(text))
        return;
    if (strlen(text) >= TRACE_STATE_MAX)
        abort();
    for (const char *c = text; *c; c++) {
        if ((*c < ' ' && *c != '\t') || *c > '~')
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1); /* of its size: a read behind it is seen */

    if (!text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = '\0';
    check_parent(text);
    check_state(text);
    free(text);
    return 0;
}
