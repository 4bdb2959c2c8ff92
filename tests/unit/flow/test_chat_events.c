/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_chat_events.c - chats of servers of all kinds, read as deltas; and requests written as chats. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/upstream/chat_events.h"
#include "flow/upstream/chat_request.h"
#include "flow/upstream/one_answer.h"
#include "gateway/dialect/dialect.h"

/* What was heard, a letter and a text for each delta: "t" text, "r" thoughts, "n" a call's name, "a" its arguments,
 * "." the end. */
struct heard {
    char words[4096];
    size_t n_ends;
};

static void note(void *arg, const struct reply_delta *d)
{
    static const char letters[] = { [REPLY_TEXT] = 't',
                                    [REPLY_REASONING] = 'r',
                                    [REPLY_TOOL_NAME] = 'n',
                                    [REPLY_TOOL_ARGUMENTS] = 'a' };
    struct heard *h = arg;
    const size_t n = strlen(h->words);

    assert_true(h->n_ends <= d->choice); /* nothing comes after an end: choices end in order here */
    if (d->finish != FINISH_NONE) {
        h->n_ends++;
        (void)snprintf(h->words + n, sizeof(h->words) - n, ".%s%s%s", finish_reason_word(d->finish),
                       d->stop ? " at " : "", d->stop ? d->stop : "");
    } else {
        (void)snprintf(h->words + n, sizeof(h->words) - n, "%c%.*s ", letters[d->part],
                       (int)d->n_text, d->text);
    }
}

static struct reply_usage usage;

/* ret_words: of the error, or "" */
static enum status hear(const char *stream, struct heard *h, struct err *err)
{
    struct chat_events *events = NULL;
    enum status s;

    *h = (struct heard){ 0 };
    *err = (struct err){ 0 };
    assert_ok(chat_events_new(1, note, h, &events, err), *err);
    s = chat_events_feed(events, stream, strlen(stream), err);
    if (s == ST_OK)
        chat_events_finish(events);
    usage = chat_events_usage(events);
    chat_events_free(events);
    return s;
}

static void says(const char *stream, const char *expected)
{
    struct heard h;
    struct err err;

    assert_ok(hear(stream, &h, &err), err);
    assert_string_equal(h.words, expected);
}

static void fails(const char *stream, enum status status, const char *words)
{
    struct heard h;
    struct err err;

    assert_int_equal(hear(stream, &h, &err), status);
    assert_non_null(strstr(err.words, words));
}

#define DELTA(d) "data: {\"choices\":[{\"index\":0,\"delta\":{" d "}}]}\n\n"
#define END(why) "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"" why "\"}]}\n\n"
#define CALL(i, n, a)                                                                              \
    DELTA("\"tool_calls\":[{\"index\":" i ",\"function\":{" n "\"arguments\":\"" a "\"}}]")

static void text_thoughts_and_calls_come_in_their_order(void **state)
{
    (void)state;
    says(
        ": hello\n\nevent: x\n" DELTA("\"role\":\"assistant\",\"content\":\"\"") DELTA(
            "\"reasoning_content\":\"Hm\"") DELTA("\"content\":\"\\u00e4 b\"") CALL("0",
                                                                                    "\"name\":\"f\",",
                                                                                    "")
            CALL("0", "", "{\\\"a\\\":") CALL("0", "", "1}") CALL("1", "\"name\":\"g\",", "{}") END(
                "tool_calls") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,"
                              "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\r\n\r\ndata: [DONE]\n\n",
        "rHm tä b nf a{\"a\": a1} ng a{} .tool_calls");
    assert_int_equal(usage.prompt_tokens, 9);
    assert_int_equal(usage.completion_tokens, 5);
    assert_int_equal(usage.cached_tokens, 4);
}

static void servers_differ_in_how_they_say_it(void **state)
{
    (void)state;
    /* vLLM: which stop string; older: thoughts under both names */
    says(
        DELTA(
            "\"reasoning\":\"H\",\"reasoning_content\":\"H\"") "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\","
                                                               "\"stop_reason\":\"STOP\"}]}\n\n",
        "rH tx .stop at STOP");
    assert_int_equal(usage.completion_tokens,
                     1); /* nobody said: what was seen with something in it */
    says(DELTA("\"reasoning\":\"H\"") END("length"), "rH .length");
    /* mlx_lm.server and exo: whole calls, without an index, "stop" where calls end it */
    says(DELTA("\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
               "{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]") END("stop"),
         "nf a{} nf a{\"a\":1} .tool_calls");
    /* no arguments at all are an empty object; a name again with each piece is the same call */
    says(CALL("0", "\"name\":\"f\",", "") CALL("1", "\"name\":\"g\",", "{")
             CALL("1", "\"name\":\"g\",", "}"),
         "nf a{} ng a{ a} .tool_calls");
    /* older completions; an end that nobody said; what follows an end is nothing */
    says("data: {\"choices\":[{\"text\":\"x\",\"index\":0}]}\n\n", "tx .stop");
    says(END("stop") DELTA("\"content\":\"late\""), ".stop");
}

static void an_answer_in_one_piece_is_read_too(void **state)
{
    static const char body[] =
        "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"Hm\","
        "\"tool_calls\":[{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
        "\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}";
    struct heard h = { 0 };
    struct chat_events *events = NULL;
    struct err err;

    (void)state;
    assert_ok(chat_events_new(1, note, &h, &events, &err), err);
    assert_ok(chat_events_whole(events, body, strlen(body), &err), err);
    chat_events_finish(events);
    assert_string_equal(h.words, "rHm nf a{} .tool_calls");
    chat_events_free(events);
}

static void what_is_no_chat_is_an_error(void **state)
{
    (void)state;
    fails("data: {\"error\":{\"message\":\"out of memory\"}}\n\n", ST_PEER, "out of memory");
    fails("data: {\"error\":\"words\"}\n\n", ST_PEER, "words");
    fails("data: {\"error\":{}}\n\n", ST_PEER, "does not say");
    fails("data: {\"choices\":[{\"index\":1}]}\n\n", ST_FORMAT, "not asked for");
    fails("data: {\"choices\":[{\"index\":-1}]}\n\n", ST_FORMAT, "not asked for");
    fails("data: {\"type\":\"message_start\"}\n\n", ST_FORMAT, "without choices");
    fails("data: nonsense\n\n", ST_FORMAT, "JSON");
    fails("data: []\n\n", ST_FORMAT, "JSON");
    fails(CALL("0", "\"name\":\"f\",", "{") CALL("1", "\"name\":\"g\",", "{") CALL("0", "", "}"),
          ST_FORMAT, "not the last");
    fails(CALL("0", "", "{}"), ST_FORMAT, "not the last");
}

static uint32_t next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return *x >> 8;
}

/* Read or refused: the sanitizers watch, and note() the order. */
static void damaged_streams_do_no_harm(void **state)
{
    static const char stream[] = DELTA("\"reasoning_content\":\"Hm\"") DELTA(
        "\"content\":\"\\u00e4 b\"") CALL("0", "\"name\":\"f\",", "{}") CALL("1", "\"name\":\"g\",",
                                                                             "{}")
        END("tool_calls") "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":-9}}\n\ndata: [DONE]\n\n";
    size_t n_read = 0;
    uint32_t x = 20261126;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char damaged[sizeof(stream)];
        struct heard h;
        struct err err;

        memcpy(damaged, stream, sizeof(stream));
        for (uint32_t k = next(&x) % 3 + 1; k > 0; k--)
            damaged[next(&x) % (sizeof(stream) - 1)] = "{}[]\",:09-\\n\n\xC3 x1"[next(&x) % 18];
        n_read += hear(damaged, &h, &err) == ST_OK;
    }
    assert_in_range(n_read, 100, 19900);
}

/* The body that a dialect's becomes, as compact JSON with sorted keys. */
static char *chat_of(const struct dialect *dialect, const char *text, unsigned can,
                     unsigned *ret_needs)
{
    struct api_request r;
    struct api_error e;
    json_t *body = json_loads(text, 0, NULL), *chat;
    char *dumped;

    assert_non_null(body);
    api_request_init(&r);
    r.dialect = dialect;
    if (dialect->parse(body, &r, &e) != ST_OK)
        fail_msg("%s", e.message);
    *ret_needs = chat_request_needs(&r);
    chat = chat_request_body(&r, "there", can);
    assert_non_null(chat);
    dumped = json_dumps(chat, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(6));
    json_decref(chat);
    json_decref(body);
    api_request_release(&r);
    return dumped;
}

static void becomes(const struct dialect *dialect, const char *text, unsigned can,
                    unsigned expected_needs, const char *expected)
{
    unsigned needs;
    char *chat = chat_of(dialect, text, can, &needs);

    assert_string_equal(chat, expected);
    assert_int_equal(needs, expected_needs);
    free(chat);
}

#define STREAM "\"stream\":true,\"stream_options\":{\"include_usage\":true},"

static void a_message_of_blocks_becomes_messages_of_a_chat(void **state)
{
    (void)state;
    becomes(
        &anthropic_messages,
        "{\"model\":\"m\",\"max_tokens\":9,\"system\":\"S\",\"stop_sequences\":[\"E\"],"
        "\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],"
        "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true},"
        "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
        "\"input\":{\"a\":1}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\","
        "\"content\":\"18\"}]}]}",
        CHAT_SCHEMA, 0,
        "{\"max_tokens\":9,\"messages\":[{\"content\":\"S\",\"role\":\"system\"},"
        "{\"content\":\"Hi\",\"role\":\"user\"},"
        "{\"content\":\"\",\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":"
        "\"{\\\"a\\\":1}\",\"name\":\"f\"},\"id\":\"t1\",\"type\":\"function\"}]},"
        "{\"content\":\"18\",\"role\":\"tool\",\"tool_call_id\":\"t1\"}],"
        "\"model\":\"there\",\"parallel_tool_calls\":false,\"stop\":[\"E\"]," STREAM
        "\"temperature\":1.0,\"tool_choice\":{\"function\":{\"name\":\"f\"},\"type\":\"function\"},"
        "\"tools\":[{\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}},"
        "\"type\":\"function\"}]}");
}

/* top_k would be refused by a strict server; a schema that it would not hold must not reach one that ignores it. */
static void what_only_some_servers_know_goes_to_those(void **state)
{
    static const char asked[] =
        "{\"model\":\"m\",\"format\":{\"type\":\"object\"},\"think\":true,\"messages\":["
        "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":{}}}]},{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"18\"}]}";
#define FORMAT                                                                                     \
    "\"response_format\":{\"json_schema\":{\"name\":\"answer\",\"schema\":{\"type\":\"object\"},"  \
    "\"strict\":true},\"type\":\"json_schema\"},"
#define MESSAGES                                                                                   \
    "\"messages\":[{\"content\":\"\",\"role\":\"assistant\",\"tool_calls\":[{\"function\":{"       \
    "\"arguments\":\"{}\",\"name\":\"f\"},\"id\":\"call_0\",\"type\":\"function\"}]},"             \
    "{\"content\":\"18\",\"name\":\"f\",\"role\":\"tool\",\"tool_call_id\":\"call_0\"}],"

    (void)state;
    becomes(&ollama_chat, asked, CHAT_SCHEMA, CHAT_SCHEMA,
            "{" MESSAGES "\"model\":\"there\"," FORMAT STREAM "\"temperature\":0.8,\"top_p\":0.9}");
    becomes(&ollama_chat, asked, CHAT_ALL, CHAT_SCHEMA,
            "{\"chat_template_kwargs\":{\"enable_thinking\":true,\"thinking\":true},"
            "\"enable_thinking\":true," MESSAGES "\"model\":\"there\"," FORMAT STREAM
            "\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9}");
}

static void counts_and_vectors_ask_for_nothing_else(void **state)
{
    (void)state;
    becomes(&responses_count, "{\"model\":\"m\",\"input\":\"Hi\"}", CHAT_ALL, CHAT_COUNTS,
            "{\"messages\":[{\"content\":\"Hi\",\"role\":\"user\"}],\"model\":\"there\"}");
    becomes(&ollama_embed, "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":3}", 0, 0,
            "{\"dimensions\":3,\"input\":[\"a\",\"b\"],\"model\":\"there\"}");
}

static enum status one(const struct dialect *dialect, enum api_task task, size_t n_prompts,
                       const char *body, struct buf *out)
{
    const struct api_request r = {
        .dialect = dialect, .task = task, .model = "m", .n_prompts = n_prompts
    };
    uint64_t n_tokens;
    struct err err;

    return one_answer_write(&r, body, strlen(body), out, &n_tokens, &err);
}

static void counts_and_vectors_are_written_by_the_dialect(void **state)
{
    struct buf out = { 0 };

    (void)state;
    assert_int_equal(one(&responses_count, TASK_COUNT, 1, "{\"input_tokens\":7}", &out), ST_OK);
    assert_string_equal(buf_text(&out),
                        "{\"object\":\"response.input_tokens\",\"input_tokens\":7}");
    buf_clear(&out);
    assert_int_equal(one(&ollama_embed, TASK_EMBED, 2,
                         "{\"data\":[{\"index\":1,\"embedding\":[3,4]},{\"embedding\":[1,2]}],"
                         "\"usage\":{\"prompt_tokens\":5}}",
                         &out),
                     ST_OK);
    assert_non_null(strstr(buf_text(&out), "\"embeddings\":[[1,2],[3,4]]"));
    for (size_t i = 0; i < 5; i++) {
        static const char *const wrong[] = {
            "{\"data\":[{\"index\":0,\"embedding\":[1]}]}",
            "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":2,\"embedding\":[1]}]}",
            "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":1,\"embedding\":[1,2]}]}",
            "{\"data\":[{},{}]}",
            "[]",
        };

        assert_int_equal(one(&ollama_embed, TASK_EMBED, 2, wrong[i], &out), ST_FORMAT);
    }
    assert_int_equal(one(&responses_count, TASK_COUNT, 1, "{\"input_tokens\":\"7\"}", &out),
                     ST_FORMAT);
    buf_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_thoughts_and_calls_come_in_their_order),
        cmocka_unit_test(servers_differ_in_how_they_say_it),
        cmocka_unit_test(an_answer_in_one_piece_is_read_too),
        cmocka_unit_test(what_is_no_chat_is_an_error),
        cmocka_unit_test(damaged_streams_do_no_harm),
        cmocka_unit_test(a_message_of_blocks_becomes_messages_of_a_chat),
        cmocka_unit_test(what_only_some_servers_know_goes_to_those),
        cmocka_unit_test(counts_and_vectors_ask_for_nothing_else),
        cmocka_unit_test(counts_and_vectors_are_written_by_the_dialect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
