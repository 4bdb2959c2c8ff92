/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_repeat.c - headers of a request that is repeated. */
#include "support/check.h"

#include <string.h>

#include "gateway/dialect/repeat.h"

static struct api_request stream_of(uint32_t n)
{
    struct api_request r = { .n_prompts = 1, .n = n, .streams = true };

    return r;
}

static void a_key_is_the_seed_where_there_is_none(void **state)
{
    struct api_request a = stream_of(1), b = stream_of(1), other = stream_of(1), own = stream_of(1);
    struct api_error e;

    (void)state;
    own.has_seed = true;
    own.sampling.seed = 42;
    assert_int_equal(repeat_read("key-1", NULL, &a, &e), ST_OK);
    assert_int_equal(repeat_read("key-1", "7", &b, &e), ST_OK);
    assert_int_equal(repeat_read("key-2", NULL, &other, &e), ST_OK);
    assert_int_equal(repeat_read("key-1", NULL, &own, &e), ST_OK);
    assert_true(a.has_seed && b.has_seed);
    assert_true(a.sampling.seed == b.sampling.seed);
    assert_true(a.sampling.seed != other.sampling.seed);
    assert_int_equal(own.sampling.seed, 42);
    assert_true(a.counts_tokens);
    assert_int_equal(a.n_known_tokens, 0);
    assert_int_equal(b.n_known_tokens, 7);
}

static void without_headers_nothing_changes(void **state)
{
    struct api_request r = stream_of(1);
    struct api_error e;

    (void)state;
    assert_int_equal(repeat_read(NULL, NULL, &r, &e), ST_OK);
    assert_false(r.has_seed || r.counts_tokens);
}

static void refuse(const char *key, const char *tokens, struct api_request r, const char *param)
{
    struct api_error e;

    assert_int_equal(repeat_read(key, tokens, &r, &e), ST_FORMAT);
    assert_int_equal(api_error_http(e.kind), 400);
    assert_string_equal(e.param, param);
}

static void what_cannot_be_meant_is_refused_by_name(void **state)
{
    static const char *const bad_tokens[] = { "",   "-1",      "+1",
                                              " 1", "1 ",      "1.5",
                                              "x",  "1048577", "99999999999999999999" };
    struct api_request whole = stream_of(1);
    char key[REPEAT_KEY_MAX + 2];

    (void)state;
    refuse(NULL, "3", stream_of(1), REPEAT_KEY_HEADER);
    refuse("", NULL, stream_of(1), REPEAT_KEY_HEADER);
    refuse("two words", NULL, stream_of(1), REPEAT_KEY_HEADER);
    memset(key, 'k', sizeof(key));
    key[REPEAT_KEY_MAX + 1] = '\0';
    refuse(key, NULL, stream_of(1), REPEAT_KEY_HEADER);
    for (size_t i = 0; i < sizeof(bad_tokens) / sizeof(bad_tokens[0]); i++)
        refuse("k", bad_tokens[i], stream_of(1), REPEAT_TOKENS_HEADER);
    refuse("k", "3", stream_of(2), REPEAT_TOKENS_HEADER);
    whole.streams = false;
    refuse("k", "3", whole, REPEAT_TOKENS_HEADER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_the_seed_where_there_is_none),
        cmocka_unit_test(without_headers_nothing_changes),
        cmocka_unit_test(what_cannot_be_meant_is_refused_by_name),
    };

    return cmocka_run_group_tests_name("gateway/repeat", tests, NULL, NULL);
}
