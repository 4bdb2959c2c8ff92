/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_dialect_memory.c - a body whose k-th allocation fails is refused with words, whichever
 * it is, or is taken whole; the same of an answer that is written; nothing is left behind.
 */
#include "support/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/answer.h"
#include "gateway/dialect/call_texts.h"
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/responses_store.h"
#include "gateway/http/json_in.h"
#include "support/allocations.h"

/* JSON's values come from here, too. */
static void *allocate(size_t n)
{
    return malloc(n);
}

static void give_back(void *memory)
{
    free(memory);
}

static int set_up(void **state)
{
    (void)state;
    json_set_alloc_funcs(allocate, give_back);
    return 0;
}

static enum status parse(const struct dialect *dialect, const json_t *body, struct api_request *r,
                         struct api_error *e)
{
    *e = (struct api_error){ 0 };
    api_request_init(r);
    r->dialect = dialect;
    return dialect->parse(body, r, e);
}

static void show_json(const char *name, const json_t *value, struct buf *out)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;

    buf_printf(out, "%s %s\n", name, text ? text : "-");
    free(text);
}

static void show_text(const char *name, const char *text, struct buf *out)
{
    buf_printf(out, "%s %s\n", name, text ? text : "-");
}

/* All that allocations are needed for. */
static void show(const struct api_request *r, struct buf *out)
{
    show_json("variables", r->variables, out);
    show_json("tools", r->tools, out);
    show_json("biases", r->bias_texts, out);
    show_json("context", r->context, out);
    show_json("schema", r->schema, out);
    show_text("grammar", r->grammar, out);
    show_text("trigger", r->grammar_trigger, out);
    show_text("suffix", r->suffix, out);
    for (size_t i = 0; i < r->n_prompts && r->prompts; i++) {
        buf_printf(out, "prompt %zu %.*s\n", r->prompts[i].n_tokens, (int)r->prompts[i].n_text,
                   r->prompts[i].text ? r->prompts[i].text : "");
        for (size_t k = 0; r->prompts[i].tokens && k < r->prompts[i].n_tokens; k++)
            buf_printf(out, " %d", (int)r->prompts[i].tokens[k]);
    }
    for (size_t i = 0; i < r->n_stops; i++)
        show_text("stop", r->stops[i], out);
    for (size_t i = 0; i < r->sampling.n_logit_bias; i++)
        buf_printf(out, "bias %d %f\n", (int)r->logit_bias[i].token, (double)r->logit_bias[i].bias);
    buf_printf(out, "%u %u %u %d %d\n", r->n, r->max_tokens, r->thought_tokens_max,
               (int)r->tool_choice, (int)r->holds_calls);
}

/* Ids and times are another's each time. */
static void mask(struct buf *text)
{
    size_t n = 0;

    for (size_t i = 0; i < text->len;) {
        const size_t n_digits = strspn(text->data + i, "0123456789");
        const size_t n_hex = strspn(text->data + i, "0123456789abcdef");

        if (n_digits > 0 || n_hex >= 12) {
            text->data[n++] = '#';
            i += n_hex >= 12 ? n_hex : n_digits;
        } else {
            text->data[n++] = text->data[i++];
        }
    }
    text->len = n;
    if (text->data)
        text->data[n] = '\0';
}

/* Told from a little before where they part. */
static void assert_same(const char *what, size_t k, const struct buf *expected,
                        const struct buf *seen)
{
    const char *a = buf_text(expected), *b = buf_text(seen);
    size_t n = 0;

    while (a[n] && a[n] == b[n])
        n++;
    n -= size_min(n, 60);
    if (strcmp(a, b) != 0)
        fail_msg("%s, allocation %zu: lost in silence: ...%.120s -> ...%.120s", what, k, a + n,
                 b + n);
}

static void run_out(const struct dialect *dialect, const char *text)
{
    struct buf expected = { 0 };
    struct api_request r;
    struct api_error e;
    json_t *body = NULL;
    bool has_failed = true;

    assert_int_equal(json_in_object(text, strlen(text), &body, &e), ST_OK);
    if (parse(dialect, body, &r, &e) != ST_OK)
        fail_msg("%s: %s", text, e.message);
    show(&r, &expected);
    mask(&expected);
    api_request_release(&r);
    for (size_t k = 1; has_failed; k++) {
        struct buf seen = { 0 };
        enum status s;

        allocations_fail_at(k);
        s = parse(dialect, body, &r, &e);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (s != ST_OK && !e.message[0])
            fail_msg("%s, allocation %zu: refused without words", dialect->name, k);
        if (s == ST_OK) {
            show(&r, &seen);
            mask(&seen);
            assert_same(dialect->name, k, &expected, &seen);
        }
        buf_release(&seen);
        api_request_release(&r);
    }
    buf_release(&expected);
    json_decref(body);
}

static void a_conversation_runs_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(
        &openai_chat,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":\"text\",\"text\":\"you\"}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}]},{\"role\":\"tool\","
        "\"tool_call_id\":\"c\",\"content\":\"4\"}],\"tools\":[{\"type\":\"function\",\"function\":"
        "{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"required\","
        "\"stop\":[\"a\",\"b\"],\"logit_bias\":{\"5\":1.5},\"chat_template_kwargs\":{\"thinking\":true}}");
}

static void a_constrained_conversation_runs_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(
        &openai_chat,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"response_format\":{\"type\":"
        "\"json_schema\",\"json_schema\":{\"name\":\"x\",\"schema\":{\"enum\":[1]}}}}");
}

static void other_conversations_run_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(
        &anthropic_messages,
        "{\"model\":\"m\",\"max_tokens\":64,\"system\":[{\"type\":\"text\",\"text\":\"s\"}],\"messages\":"
        "[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}]},{\"role\":\"user\",\"content\":"
        "[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"r\"}]}],\"tools\":[{\"name\":\"f\","
        "\"input_schema\":{\"type\":\"object\"}}],\"stop_sequences\":[\"x\"]}");
    run_out(
        &openai_responses,
        "{\"model\":\"m\",\"instructions\":\"i\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
        "\"input_text\",\"text\":\"hi\"}]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\","
        "\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"4\"}],"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}]}");
    run_out(
        &ollama_chat,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
        "\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]}],"
        "\"options\":{\"num_predict\":3,\"stop\":[\"a\"]}}");
}

static void prompts_run_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(
        &openai_completions,
        "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"stop\":\"x\",\"logit_bias\":[[5,1],[\"b\",2]]}");
    run_out(&openai_completions,
            "{\"model\":\"m\",\"prompt\":[[1,2],[3]],\"guided_regex\":\"a+\"}");
    run_out(&ollama_generate, "{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\"}");
    run_out(&openai_embeddings, "{\"model\":\"m\",\"input\":[\"a\",\"b\"]}");
    run_out(&rerank_jina, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}");
    run_out(&tokenize, "{\"model\":\"m\",\"content\":\"a\"}");
    run_out(&detokenize, "{\"model\":\"m\",\"tokens\":[1,2]}");
}

enum { WHOLE, STREAM };

/* Everything a reply can have; false: there was no memory, and it shows. */
static bool write_reply(const struct api_request *r, int how, struct buf *out)
{
    static const struct reply_delta deltas[] = {
        { .part = REPLY_REASONING, .text = "I think ", .n_text = 8 },
        { .part = REPLY_REASONING, .text = "so", .n_text = 2 },
        { .part = REPLY_TEXT, .text = "A \"word\", ", .n_text = 10 },
        { .part = REPLY_TEXT, .text = "and another", .n_text = 11 },
        { .part = REPLY_TOOL_NAME, .text = "f", .n_text = 1 },
        { .part = REPLY_TOOL_ARGUMENTS, .text = "{\"a\": ", .n_text = 6 },
        { .part = REPLY_TOOL_ARGUMENTS, .text = " [1, \"x\"]}", .n_text = 10 },
        { .part = REPLY_TEXT, .text = "", .finish = FINISH_TOOL_CALLS },
    };
    const struct reply_usage usage = { .prompt_tokens = 3, .completion_tokens = 9 };
    struct answer *a = NULL;
    struct err err;
    const bool is_words = r->dialect == &openai_completions || r->dialect == &ollama_generate;

    if (answer_new(r, "m", 7, &a, &err) != ST_OK)
        return false;
    if (how == STREAM)
        answer_begin(a, &usage, out);
    for (size_t i = 0; i < ARRAY_LEN(deltas); i++) {
        if (is_words && deltas[i].part != REPLY_TEXT)
            continue;
        if (how == STREAM)
            answer_events(a, &deltas[i], out);
        else
            answer_collect(a, &deltas[i]);
    }
    if (how == STREAM)
        answer_end(a, &usage, out);
    else
        answer_whole(a, &usage, out);
    answer_free(a);
    return buf_status(out) == ST_OK;
}

static void run_out_writing(const struct dialect *dialect, const char *text, int how)
{
    struct buf expected = { 0 };
    struct api_request r;
    struct api_error e;
    json_t *body = NULL;
    bool has_failed = true;

    assert_int_equal(json_in_object(text, strlen(text), &body, &e), ST_OK);
    assert_int_equal(parse(dialect, body, &r, &e), ST_OK);
    assert_true(write_reply(&r, how, &expected));
    mask(&expected);
    for (size_t k = 1; has_failed; k++) {
        struct buf seen = { 0 };
        bool is_whole;

        allocations_fail_at(k);
        is_whole = write_reply(&r, how, &seen);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (is_whole) {
            mask(&seen);
            assert_same(dialect->name, k, &expected, &seen);
        }
        buf_release(&seen);
    }
    buf_release(&expected);
    api_request_release(&r);
    json_decref(body);
}

static void an_answer_is_written_whole_or_not_at_all(void **state)
{
    static const char chat[] =
        "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}";
    static const struct {
        const struct dialect *dialect;
        const char *body;
    } rows[] = {
        { &openai_chat, chat },
        { &anthropic_messages, chat },
        { &ollama_chat, chat },
        { &openai_responses, "{\"model\":\"m\",\"input\":\"hi\"}" },
        { &openai_completions, "{\"model\":\"m\",\"prompt\":\"hi\"}" },
        { &ollama_generate, "{\"model\":\"m\",\"prompt\":\"hi\"}" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_out_writing(rows[i].dialect, rows[i].body, WHOLE);
        run_out_writing(rows[i].dialect, rows[i].body, STREAM);
    }
}

/* What is kept is a convenience: it may be missing, but not wrong. */
static void what_is_kept_needs_memory(void **state)
{
    json_t *record = json_pack("{s:s}", "id", "resp_1"), *arguments = json_pack("{s:i}", "a", 1);
    bool has_failed = true;

    (void)state;
    for (size_t k = 1; has_failed; k++) {
        struct responses_store *store;
        struct call_texts *texts;
        json_t *found = NULL;
        char *text = NULL;

        allocations_fail_at(k);
        store = responses_store_new();
        texts = call_texts_new();
        if (store) {
            responses_store_put(store, 1, "resp_1", record);
            found = responses_store_get(store, 1, "resp_1");
        }
        if (texts) {
            call_texts_put(texts, 1, "f", "{ \"a\": 1 }", 10);
            text = call_texts_get(texts, 1, "f", arguments);
        }
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (found)
            assert_true(json_equal(found, record));
        if (text)
            assert_string_equal(text, "{ \"a\": 1 }");
        assert_true(has_failed || (found && text));
        json_decref(found);
        free(text);
        responses_store_free(store);
        call_texts_free(texts);
    }
    json_decref(record);
    json_decref(arguments);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_runs_out_of_memory_anywhere),
        cmocka_unit_test(a_constrained_conversation_runs_out_of_memory_anywhere),
        cmocka_unit_test(other_conversations_run_out_of_memory_anywhere),
        cmocka_unit_test(prompts_run_out_of_memory_anywhere),
        cmocka_unit_test(an_answer_is_written_whole_or_not_at_all),
        cmocka_unit_test(what_is_kept_needs_memory),
    };
    return cmocka_run_group_tests_name("gateway/dialect memory", tests, set_up, NULL);
}
