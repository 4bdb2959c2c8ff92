/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_translation_memory.c - what is made for a translated request, where memory runs out. */
#include "support/check.h"

#include <string.h>

#include "flow/upstream/chat_events.h"
#include "flow/upstream/translation.h"
#include "gateway/dialect/dialect.h"
#include "support/allocations.h"

static void ignore(void *arg, const struct reply_delta *delta)
{
    (void)arg;
    (void)delta;
}

static void take_request(struct api_request *r)
{
    json_t *body = json_loads("{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
                              "\"content\":\"Hi\"}]}",
                              0, NULL);
    struct api_error e;

    api_request_init(r);
    r->dialect = &anthropic_messages;
    assert_int_equal(anthropic_messages.parse(body, r, &e), ST_OK);
    json_decref(body);
}

/* Without memory it says so, nothing is lost, and the request stays who called's. */
static void a_translation_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    for (size_t k = 1;; k++) {
        struct translation *t = NULL;
        struct api_request r;
        struct err err;
        enum status s;

        assert_in_range(k, 1, 100);
        take_request(&r);
        allocations_fail_at(k);
        s = translation_new(NULL, &r, &t, &err);
        allocations_fail_at(0);
        if (s == ST_OK) {
            assert_string_equal(translation_request(t)->model, "m");
            translation_free(t);
            break;
        }
        assert_int_equal(s, ST_NOMEM);
        assert_null(t);
        api_request_release(&r);
    }
}

static void events_need_memory_to_be_read(void **state)
{
    struct chat_events *events = NULL;
    struct err err;

    (void)state;
    allocations_fail_at(1);
    assert_int_equal(chat_events_new(1, ignore, NULL, &events, &err), ST_NOMEM);
    assert_null(events);
    assert_int_equal(chat_events_new(1, ignore, NULL, &events, &err), ST_OK);
    chat_events_free(events);
    chat_events_free(NULL);
    translation_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_translation_is_made_whole_or_not_at_all),
        cmocka_unit_test(events_need_memory_to_be_read),
    };
    return cmocka_run_group_tests_name("flow/translation_memory", tests, NULL, NULL);
}
