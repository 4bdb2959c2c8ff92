/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_kept.c - what a gateway keeps between requests: responses, calls as written. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/call_texts.h"
#include "gateway/dialect/responses_store.h"

static void put_response(struct responses_store *store, uint64_t owner, const char *id,
                         size_t n_bytes)
{
    char *text = calloc(1, n_bytes + 1);
    json_t *record;

    assert_non_null(text);
    memset(text, 'x', n_bytes);
    record = json_pack("{s:s,s:s}", "id", id, "text", text);
    responses_store_put(store, owner, id, record);
    json_decref(record);
    free(text);
}

static bool is_kept(struct responses_store *store, uint64_t owner, const char *id)
{
    json_t *record = responses_store_get(store, owner, id);
    const bool is_there = record != NULL;

    if (record)
        assert_string_equal(json_string_value(json_object_get(record, "id")), id);
    json_decref(record);
    return is_there;
}

static void a_response_is_its_owners_alone(void **state)
{
    struct responses_store *store = responses_store_new();

    (void)state;
    assert_non_null(store);
    put_response(store, 7, "resp_a", 3);
    assert_true(is_kept(store, 7, "resp_a"));
    assert_false(is_kept(store, 8, "resp_a"));
    assert_false(is_kept(store, 0, "resp_a"));
    assert_false(is_kept(store, 7, ""));
    assert_false(responses_store_drop(store, 8, "resp_a"));
    assert_true(responses_store_drop(store, 7, "resp_a"));
    assert_false(is_kept(store, 7, "resp_a"));
    assert_false(responses_store_drop(store, 7, "resp_a"));
    responses_store_free(store);
}

static void responses_are_bounded_in_number_and_bytes(void **state)
{
    struct responses_store *store = responses_store_new();
    char id[32];

    (void)state;
    for (int i = 0; i < STORED_MAX + 2; i++) {
        (void)snprintf(id, sizeof(id), "resp_%d", i);
        put_response(store, 1, id, 1);
        if (i == 5)
            assert_true(responses_store_drop(store, 1, "resp_3")); /* a hole in the ring */
    }
    assert_false(is_kept(store, 1, "resp_1"));
    assert_true(is_kept(store, 1, "resp_2"));
    assert_true(is_kept(store, 1, id));
    put_response(store, 1, "resp_huge", STORED_BYTES_MAX / 4);
    assert_false(is_kept(store, 1, "resp_huge"));
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof(id), "resp_big%d", i);
        put_response(store, 1, id, STORED_BYTES_MAX / 4 - 100);
    }
    assert_false(is_kept(store, 1, "resp_2"));
    assert_false(is_kept(store, 1, "resp_big0"));
    assert_true(is_kept(store, 1, "resp_big4"));
    responses_store_free(store);
}

/* Good until the next call; NULL: there is none. */
static const char *text_of(struct call_texts *texts, uint64_t owner, const char *name,
                           const char *arguments)
{
    static char kept[64];
    json_t *object = json_loads(arguments, 0, NULL);
    char *text = call_texts_get(texts, owner, name, object);
    const bool is_there = text != NULL;

    (void)snprintf(kept, sizeof(kept), "%s", is_there ? text : "");
    json_decref(object);
    free(text);
    return is_there ? kept : NULL;
}

static void put_text(struct call_texts *texts, const char *text)
{
    call_texts_put(texts, 1, "f", text, strlen(text));
}

static void arguments_are_found_by_what_they_say(void **state)
{
    struct call_texts *texts = call_texts_new();

    (void)state;
    assert_non_null(texts);
    assert_null(text_of(NULL, 1, "f", "{}"));
    assert_null(text_of(texts, 1, "f", "{}"));
    put_text(texts, "{\"b\":  1,\"a\":\"\\u00e9\"}");
    assert_string_equal(text_of(texts, 1, "f", "{\"a\":\"\303\251\",\"b\":1}"),
                        "{\"b\":  1,\"a\":\"\\u00e9\"}");
    assert_null(text_of(texts, 1, "f", "{\"a\":\"\303\251\",\"b\":2}"));
    assert_null(text_of(texts, 1, "f", "{\"a\":\"\303\251\",\"b\":1.0}"));
    assert_null(text_of(texts, 1, "g", "{\"a\":\"\303\251\",\"b\":1}"));
    assert_null(text_of(texts, 2, "f", "{\"a\":\"\303\251\",\"b\":1}"));
    put_text(texts, "{ \"b\": 1, \"a\": \"\303\251\" }"); /* the newest spelling wins */
    assert_string_equal(text_of(texts, 1, "f", "{\"a\":\"\303\251\",\"b\":1}"),
                        "{ \"b\": 1, \"a\": \"\303\251\" }");
    put_text(texts, "[1]");
    put_text(texts, "{\"cut\":");
    assert_null(text_of(texts, 1, "f", "{\"cut\":1}"));
    call_texts_free(texts);
}

static void arguments_are_bounded_in_number_and_bytes(void **state)
{
    struct call_texts *texts = call_texts_new();
    char text[64];
    char *long_text = calloc(1, CALL_TEXTS_BYTES_MAX / 8);

    (void)state;
    for (int i = 0; i <= CALL_TEXTS_MAX; i++) {
        (void)snprintf(text, sizeof(text), "{\"i\":  %d}", i);
        put_text(texts, text);
    }
    assert_null(text_of(texts, 1, "f", "{\"i\":0}"));
    assert_string_equal(text_of(texts, 1, "f", "{\"i\":1}"), "{\"i\":  1}");
    assert_string_equal(text_of(texts, 1, "f", "{\"i\":4096}"), "{\"i\":  4096}");
    for (int i = 0; i < 9; i++) {
        memset(long_text, ' ', CALL_TEXTS_BYTES_MAX / 8 - 1);
        (void)snprintf(text, sizeof(text), "{\"j\":%d", i);
        memcpy(long_text, text, strlen(text));
        long_text[CALL_TEXTS_BYTES_MAX / 8 - 2] = '}';
        put_text(texts, long_text);
    }
    assert_null(text_of(texts, 1, "f", "{\"i\":4096}"));
    assert_null(text_of(texts, 1, "f", "{\"j\":0}"));
    assert_non_null(text_of(texts, 1, "f", "{\"j\":8}"));
    free(long_text);
    call_texts_free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_is_its_owners_alone),
        cmocka_unit_test(responses_are_bounded_in_number_and_bytes),
        cmocka_unit_test(arguments_are_found_by_what_they_say),
        cmocka_unit_test(arguments_are_bounded_in_number_and_bytes),
    };

    return cmocka_run_group_tests_name("gateway/kept", tests, NULL, NULL);
}
