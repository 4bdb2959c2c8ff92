/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/trace/test_trace_memory.c - without memory there are no traces, and nothing leaks. */
#include "support/check.h"

#include <string.h>

#include "support/allocations.h"
#include "trace/tracer.h"

static void a_tracer_is_made_and_used_or_not(void **state)
{
    const struct tracer_options options = { .cluster_name = "c", .node_name = "n" };
    static const struct api_traces settings = { .endpoint = "http://127.0.0.1:1",
                                                .service_name = "s" };
    const struct trace_context c = { .trace_id = { 1 }, .span_id = { 1 }, .is_sampled = true };
    struct loop *loop;
    bool is_over = false;
    struct err err;

    (void)state;
    assert_ok(loop_new(&loop, &err), err);
    for (size_t k = 1; !is_over; k++) {
        struct tracer *t = NULL;
        struct span *span = NULL;
        enum status s;

        allocations_fail_at(k);
        s = tracer_new(loop, &options, &t, &err);
        if (s == ST_OK)
            s = tracer_use(t, &settings, &err);
        if (s == ST_OK) {
            span = tracer_begin(t, &c, SPAN_CLIENT, "x");
            tracer_end(t, &span);
        }
        is_over = !allocations_failed();
        allocations_fail_at(0);
        assert_true(s == ST_OK || s == ST_NOMEM);
        assert_null(span);
        tracer_free(t);
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tracer_is_made_and_used_or_not),
    };

    return cmocka_run_group_tests_name("trace/memory", tests, NULL, NULL);
}
