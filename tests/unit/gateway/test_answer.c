/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_answer.c - answers, byte for byte. */
#include "support/check.h"

#include <string.h>

#include "gateway/dialect/answer.h"
#include "gateway/http/json_out.h"

static struct answer *answer_of(const struct dialect *dialect, uint32_t n, bool wants_logprobs,
                                bool includes_usage)
{
    struct api_request r;
    struct answer *a;
    struct err err = { 0 };

    api_request_init(&r);
    r.dialect = dialect;
    r.n = n;
    r.sampling.wants_logprobs = wants_logprobs;
    r.includes_usage = includes_usage;
    assert_ok(answer_new(&r, "m\"x", 1700000000, &a, &err), err);
    return a;
}

static struct reply_delta delta_of(uint32_t choice, const char *text, enum finish_reason finish)
{
    return (struct reply_delta){
        .choice = choice, .text = text, .n_text = strlen(text), .finish = finish
    };
}

/* The text with each id, which is random, as "ID", and "F" for the fingerprint. */
static void assert_shape(struct buf *got, const struct answer *a, const char *want)
{
    static const char version[] = "pomona-" POMONA_VERSION;
    struct buf shape = { 0 };
    const char *at = buf_text(got);

    while (*at) {
        if (strncmp(at, a->id, strlen(a->id)) == 0) {
            buf_puts(&shape, "ID");
            at += strlen(a->id);
        } else if (strncmp(at, version, sizeof(version) - 1) == 0) {
            buf_putc(&shape, 'F');
            at += sizeof(version) - 1;
        } else {
            buf_putc(&shape, *at++);
        }
    }
    assert_string_equal(buf_text(&shape), want);
    buf_release(&shape);
    buf_clear(got);
}

static const struct reply_usage usage = { .prompt_tokens = 3,
                                          .completion_tokens = 2,
                                          .cached_tokens = 1 };

#define USAGE                                                                                      \
    "{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,"                             \
    "\"prompt_tokens_details\":{\"cached_tokens\":1},"                                             \
    "\"completion_tokens_details\":{\"reasoning_tokens\":0}}"

static void a_chat_completion_has_this_shape(void **state)
{
    struct answer *a = answer_of(&openai_chat, 2, false, false);
    const struct reply_delta deltas[] = {
        delta_of(1, "B\n", FINISH_LENGTH),
        delta_of(0, "A", FINISH_NONE),
        delta_of(0, "a", FINISH_STOP),
    };
    struct buf out = { 0 };

    (void)state;
    for (size_t i = 0; i < 3; i++)
        answer_collect(a, &deltas[i]);
    answer_whole(a, &usage, &out);
    assert_shape(&out, a,
                 "{\"id\":\"ID\",\"object\":\"chat.completion\",\"created\":1700000000,"
                 "\"model\":\"m\\\"x\",\"system_fingerprint\":\"F\",\"choices\":["
                 "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Aa\","
                 "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"},"
                 "{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":\"B\\n\","
                 "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"length\"}],"
                 "\"usage\":" USAGE "}");
    buf_release(&out);
    answer_free(a);
}

#define CHUNK                                                                                      \
    "data: {\"id\":\"ID\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"            \
    "\"model\":\"m\\\"x\",\"system_fingerprint\":\"F\",\"choices\":["

static void chat_events_have_this_shape(void **state)
{
    struct answer *a = answer_of(&openai_chat, 1, false, true);
    const struct reply_delta first = delta_of(0, "A", FINISH_NONE);
    const struct reply_delta last = delta_of(0, "", FINISH_STOP);
    struct buf out = { 0 };

    (void)state;
    answer_events(a, &first, &out);
    assert_shape(&out, a,
                 CHUNK "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                       "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n" CHUNK
                       "{\"index\":0,\"delta\":{\"content\":\"A\"},\"logprobs\":null,"
                       "\"finish_reason\":null}],\"usage\":null}\n\n");
    answer_events(a, &last, &out);
    assert_shape(&out, a,
                 CHUNK "{\"index\":0,\"delta\":{},\"logprobs\":null,"
                       "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
    answer_usage_event(a, &usage, &out);
    assert_shape(&out, a, CHUNK "],\"usage\":" USAGE "}\n\n");
    buf_release(&out);
    answer_free(a);
}

static const struct reply_candidate top[] = {
    { "\xC3", 1, 7, -0.5f },
    { "b", 1, 8, -1.0f },
};

static const struct reply_logprob logprobs[] = {
    { .chosen = { "\xC3\xA9", 2, 5, -0.25f }, .top = top, .n_top = 2 },
    { .chosen = { "b", 1, 8, -1.0f }, .top = top, .n_top = 0 },
};

static void chat_logprobs_have_this_shape(void **state)
{
    struct answer *a = answer_of(&openai_chat, 1, true, false);
    struct reply_delta delta = delta_of(0, "\xC3\xA9\x62", FINISH_NONE);
    struct buf out = { 0 };

    (void)state;
    delta.logprobs = logprobs;
    delta.n_logprobs = 2;
    a->choices[0].has_begun = true;
    answer_events(a, &delta, &out);
    assert_shape(&out, a,
                 CHUNK "{\"index\":0,\"delta\":{\"content\":\"\xC3\xA9\x62\"},\"logprobs\":"
                       "{\"content\":[{\"token\":\"\xC3\xA9\",\"logprob\":-0.25,"
                       "\"bytes\":[195,169],\"top_logprobs\":["
                       "{\"token\":\"\\ufffd\",\"logprob\":-0.5,\"bytes\":[195]},"
                       "{\"token\":\"b\",\"logprob\":-1,\"bytes\":[98]}]},"
                       "{\"token\":\"b\",\"logprob\":-1,\"bytes\":[98],\"top_logprobs\":[]}],"
                       "\"refusal\":null},\"finish_reason\":null}]}\n\n");
    buf_release(&out);
    answer_free(a);
}

static void legacy_completions_have_this_shape(void **state)
{
    struct answer *a = answer_of(&openai_completions, 1, true, false);
    struct reply_delta delta = delta_of(0, "\xC3\xA9\x62", FINISH_LENGTH);
    struct buf out = { 0 };

    (void)state;
    delta.logprobs = logprobs;
    delta.n_logprobs = 2;
    answer_collect(a, &delta);
    answer_whole(a, &usage, &out);
    assert_shape(&out, a,
                 "{\"id\":\"ID\",\"object\":\"text_completion\",\"created\":1700000000,"
                 "\"model\":\"m\\\"x\",\"system_fingerprint\":\"F\",\"choices\":["
                 "{\"index\":0,\"text\":\"\xC3\xA9\x62\",\"logprobs\":{"
                 "\"tokens\":[\"\xC3\xA9\",\"b\"],\"token_logprobs\":[-0.25,-1],"
                 "\"top_logprobs\":[{\"bytes:\\\\xc3\":-0.5,\"b\":-1,\"\xC3\xA9\":-0.25},"
                 "{\"b\":-1}],\"text_offset\":[0,1]},\"finish_reason\":\"length\"}],"
                 "\"usage\":" USAGE "}");
    buf_release(&out);
    answer_free(a);
}

static void a_legacy_event_has_this_shape(void **state)
{
    struct answer *a = answer_of(&openai_completions, 1, false, false);
    const struct reply_delta delta = delta_of(0, "x", FINISH_STOP);
    struct buf out = { 0 };

    (void)state;
    answer_events(a, &delta, &out);
    assert_shape(&out, a,
                 "data: {\"id\":\"ID\",\"object\":\"text_completion\",\"created\":1700000000,"
                 "\"model\":\"m\\\"x\",\"system_fingerprint\":\"F\",\"choices\":["
                 "{\"index\":0,\"text\":\"x\",\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
    buf_release(&out);
    answer_free(a);
}

static void an_error_always_has_four_keys(void **state)
{
    struct api_error e;
    struct buf out = { 0 };

    (void)state;
    (void)api_error_set(&e, API_INVALID_TYPE, "messages[0].content", "It is \"wrong\".");
    api_error_render(&e, &out);
    assert_string_equal(buf_text(&out),
                        "{\"error\":{\"message\":\"It is \\\"wrong\\\".\","
                        "\"type\":\"invalid_request_error\",\"param\":\"messages[0].content\","
                        "\"code\":\"invalid_type\"}}");
    buf_clear(&out);
    (void)api_error_set(&e, API_INVALID, NULL, "x");
    api_error_render(&e, &out);
    assert_string_equal(buf_text(&out),
                        "{\"error\":{\"message\":\"x\",\"type\":\"invalid_request_error\","
                        "\"param\":null,\"code\":null}}");
    buf_release(&out);
}

static void strings_are_always_valid_json(void **state)
{
    static const char bytes[] = "a\"\\\n\x01\x7F\xC3\xA9\xC3\xFF\xE2\x82\xED\xA0\x80z";
    struct buf out = { 0 };

    (void)state;
    json_out_string(&out, bytes, sizeof(bytes) - 1);
    assert_string_equal(buf_text(&out),
                        "\"a\\\"\\\\\\n\\u0001\x7F\xC3\xA9\\ufffd\\ufffd\\ufffd\\ufffd"
                        "\\ufffd\\ufffd\\ufffdz\"");
    buf_clear(&out);
    json_out_logprob(&out, -1.0 / 0.0);
    assert_string_equal(buf_text(&out), "-9999");
    buf_release(&out);
}

static void events_count_tokens_where_asked(void **state)
{
    struct answer *a = answer_of(&openai_chat, 1, false, false);
    struct reply_delta delta = delta_of(0, "A", FINISH_NONE);
    struct buf out = { 0 };

    (void)state;
    a->counts_tokens = true;
    delta.n_tokens = 3;
    answer_events(a, &delta, &out);
    /* who has the role alone has no token */
    assert_null(strstr(strstr(buf_text(&out), "role"), "resume_tokens\":3}\n\ndata: "));
    assert_non_null(strstr(buf_text(&out), "\"content\":\"A\"}"));
    assert_non_null(strstr(buf_text(&out), "],\"resume_tokens\":3}\n\n"));
    buf_release(&out);
    answer_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_completion_has_this_shape),
        cmocka_unit_test(chat_events_have_this_shape),
        cmocka_unit_test(chat_logprobs_have_this_shape),
        cmocka_unit_test(legacy_completions_have_this_shape),
        cmocka_unit_test(a_legacy_event_has_this_shape),
        cmocka_unit_test(an_error_always_has_four_keys),
        cmocka_unit_test(strings_are_always_valid_json),
        cmocka_unit_test(events_count_tokens_where_asked),
    };
    return cmocka_run_group_tests_name("gateway/answer", tests, NULL, NULL);
}
