/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_forward.c - bodies and events on their way to an upstream and back. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "flow/upstream/body.h"
#include "flow/upstream/events.h"
#include "flow/upstream/tally.h"

static void becomes(const char *text, const char *expected)
{
    json_t *body = json_loads(text, 0, NULL);
    struct buf out = { 0 };

    assert_non_null(body);
    body_with_model(text, strlen(text), body, "new\"", &out);
    assert_string_equal(buf_text(&out), expected);
    buf_release(&out);
    json_decref(body);
}

static void only_the_models_name_changes(void **state)
{
    (void)state;
    becomes("{\"model\":\"m\"}", "{\"model\":\"new\\\"\"}");
    becomes(
        " { \"a\" : 1.50 , \"model\"\n:\t\"m\" , \"b\":{\"model\":\"m\"}, \"c\":[\"model\"] } ",
        " { \"a\" : 1.50 , \"model\"\n:\t\"new\\\"\" , \"b\":{\"model\":\"m\"}, \"c\":[\"model\"] } ");
    becomes("{\"x\":\"\\\\\\\"model\\\":\",\"model\":\"m\\\"\\\\\"}",
            "{\"x\":\"\\\\\\\"model\\\":\",\"model\":\"new\\\"\"}");
    becomes("{\"x\":\"model\",\"model\":\"model\"}", "{\"x\":\"model\",\"model\":\"new\\\"\"}");
}

static void a_name_written_twice_or_in_escapes_is_written_anew(void **state)
{
    (void)state;
    becomes("{\"model\":\"a\",\"model\":\"b\"}", "{\"model\":\"new\\\"\"}");
    becomes("{\"model\":\"a\", \"mod\\u0065l\":\"b\", \"n\": 1}",
            "{\"model\":\"new\\\"\",\"n\":1}");
}

static uint64_t next_random;

static size_t draw(size_t n)
{
    next_random = balance_next_random(next_random);
    return (size_t)(next_random % n);
}

static const char *draw_word(void)
{
    static const char *const words[] = { "model", "m", "\"model\":", "\\", "\\\"",
                                         "{",     "]", "ä\n",        "",   ",\"model\":\"x\"" };

    return words[draw(sizeof(words) / sizeof(words[0]))];
}

static json_t *draw_value(size_t depth)
{
    json_t *value;

    switch (draw(depth > 4 ? 3 : 5)) {
    case 0: return json_string(draw_word());
    case 1: return json_integer((json_int_t)draw(1000));
    case 2: return json_null();
    case 3:
        value = json_array();
        for (size_t n = draw(4); n > 0; n--)
            (void)json_array_append_new(value, draw_value(depth + 1));
        return value;
    default:
        value = json_object();
        for (size_t n = draw(4); n > 0; n--)
            (void)json_object_set_new(value, draw_word(), draw_value(depth + 1));
        return value;
    }
}

/* Whatever the body is, a reader of the result sees the new name and all else as it was. */
static void any_body_stays_what_it_was_but_for_the_name(void **state)
{
    (void)state;
    next_random = 20261126;
    for (int i = 0; i < 3000; i++) {
        json_t *body = json_object(), *after;
        struct buf out = { 0 };
        char *text;

        for (size_t n = draw(5); n > 0; n--)
            (void)json_object_set_new(body, draw_word(), draw_value(0));
        (void)json_object_set_new(body, "model", json_string(draw_word()));
        text = json_dumps(body, JSON_INDENT(draw(4)) | (draw(2) ? JSON_ENSURE_ASCII : 0u));
        body_with_model(text, strlen(text), body, "new", &out);
        (void)json_object_set_new(body, "model", json_string("new"));
        after = json_loadb(out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_equal(body, after));
        json_decref(after);
        json_decref(body);
        buf_release(&out);
        free(text);
    }
}

static struct balance_request measure(const char *text)
{
    json_t *body = json_loads(text, 0, NULL);
    struct balance_request r = body_measure(strlen(text), body, NULL, 200);

    r.prefix = body_prefix(body);
    json_decref(body);
    return r;
}

static void sessions_and_prefixes_are_told_apart(void **state)
{
    const struct balance_request a = measure("{\"messages\":[1],\"prompt_cache_key\":\"k\"}");
    const struct balance_request b =
        measure("{\"prompt_cache_key\":\"k\",\"messages\":[1],\"n\":1}");
    const struct balance_request c = measure("{\"messages\":[2],\"max_tokens\":7}");

    (void)state;
    assert_true(a.session != 0 && a.session == b.session && a.prefix == b.prefix);
    assert_true(c.session == 0 && c.prefix != a.prefix);
    assert_int_equal(c.n_answer_tokens, 7);
    assert_int_equal(a.n_answer_tokens, 200);
}

static void events_are_cut_where_they_end(void **state)
{
    (void)state;
    assert_int_equal(events_whole("data: a\n\ndata: b", 16), 9);
    assert_int_equal(events_whole("data: a\r\n\r\nda", 13), 11);
    assert_int_equal(events_whole("data: a\n", 8), 0);
    assert_int_equal(events_whole("\n\n", 2), 2);
    assert_int_equal(events_whole("", 0), 0);
}

static void look(struct events_seen *seen, const char *text)
{
    events_look(seen, text, strlen(text));
}

static void what_matters_is_seen_and_nothing_else(void **state)
{
    struct events_seen seen = { 0 };

    (void)state;
    look(&seen,
         ": c\n\ndata: {\"a\":1,\"resume_tokens\":12}\n\nevent: x\ndata:{\"resume_tokens\":9}\n\n");
    assert_int_equal(seen.n_events, 2);
    assert_int_equal(seen.resume_tokens, 12);
    look(&seen, "data: {\"content\":\"\\\"resume_tokens\\\":99 data: [DONE] {\\\"error\\\"\"}\n\n");
    assert_int_equal(seen.resume_tokens, 12);
    assert_false(seen.is_done || seen.has_error);
    look(&seen, "data: {\"error\":{}}\r\n\r\ndata: [DONE]\r\n\r\n");
    assert_true(seen.is_done && seen.has_error);
}

static void what_an_upstream_says_of_its_answer_is_found(void **state)
{
    static const char whole[] =
        "{\"choices\":[{\"text\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":9}\",\"finish_reason\": \"stop\"},"
        "{\"finish_reason\":\"length\"}],\"usage\" : {\"prompt_tokens\":5, \"completion_tokens\":7,"
        "\"prompt_tokens_details\":{\"cached_tokens\":2}}}";
    static const char stream[] =
        "data: {\"choices\":[{\"finish_reason\":null}],\"usage\":null}\n\n"
        "data: {\"choices\":[{\"finish_reason\":\"tool_calls\"}]}\n\n"
        "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
        "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":3}}\n\n";
    struct tally tally = { 0 };

    (void)state;
    tally_look(&tally, whole, sizeof(whole) - 1);
    assert_true(tally.has_usage);
    assert_int_equal(tally.usage.prompt_tokens, 5);
    assert_int_equal(tally.usage.completion_tokens, 7);
    assert_int_equal(tally.usage.cached_tokens, 2);
    assert_int_equal(tally.total_tokens, 12);
    assert_int_equal(tally.n_stopped, 1);
    assert_int_equal(tally.n_too_long, 1);
    tally = (struct tally){ 0 };
    tally_look(&tally, stream, sizeof(stream) - 1);
    assert_int_equal(tally.usage.completion_tokens, 3);
    assert_int_equal(tally.n_called, 1);
    assert_int_equal(tally.n_stopped + tally.n_other, 0);
    for (size_t n = 0; n < sizeof(whole); n++) { /* cut anywhere */
        char *cut = malloc(n + 1);

        assert_non_null(cut);
        memcpy(cut, whole, n);
        tally = (struct tally){ 0 };
        tally_look(&tally, cut, n);
        free(cut);
    }
}

static void counts_are_whole_numbers_told_once(void **state)
{
    static const struct {
        const char *text;
        bool has_usage;
        uint64_t n_total;
    } rows[] = {
        { "{\"usage\":{\"total_tokens\":41}}", true, 41 },
        { "{\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":9}}", true, 9 },
        { "{\"usage\": {\"total_tokens\" : 123456789012345678 } }", true, 123456789012345678 },
        { "{\"usage\":{\"total_tokens\":1234567890123456789}}", true, 0 },
        { "{\"usage\":{\"total_tokens\":4.5}}", true, 0 },
        { "{\"usage\":{\"total_tokens\":-4}}", true, 0 },
        { "{\"usage\":{\"total_tokens\":4e2}}", true, 0 },
        { "{\"usage\":{\"total_tokens\":\"4\"}}", true, 0 },
        { "{\"usage\":{\"total_tokens\":4,\"total_tokens\":5}}", true, 0 },
        { "{\"usage\":{\"a\":{\"total_tokens\":4},\"b\":[\"}\"]}}", true, 0 },
        { "{\"usage\":{\"total_tokens\":4", false, 0 },
        { "{\"usage\":[{\"total_tokens\":4}]}", false, 0 },
        { "{\"usage\":null}", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct tally tally = { 0 };

        tally_look(&tally, rows[i].text, strlen(rows[i].text));
        if (tally.has_usage != rows[i].has_usage || tally.total_tokens != rows[i].n_total)
            fail_msg("%s: %llu", rows[i].text, (unsigned long long)tally.total_tokens);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_upstream_says_of_its_answer_is_found),
        cmocka_unit_test(counts_are_whole_numbers_told_once),
        cmocka_unit_test(only_the_models_name_changes),
        cmocka_unit_test(any_body_stays_what_it_was_but_for_the_name),
        cmocka_unit_test(a_name_written_twice_or_in_escapes_is_written_anew),
        cmocka_unit_test(sessions_and_prefixes_are_told_apart),
        cmocka_unit_test(events_are_cut_where_they_end),
        cmocka_unit_test(what_matters_is_seen_and_nothing_else),
    };
    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
