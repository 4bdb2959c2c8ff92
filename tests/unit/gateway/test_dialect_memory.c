/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_dialect_memory.c - a body whose k-th allocation fails is refused with words, whichever
 * it is, or is taken; nothing is left behind.
 */
#include "support/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/dialect.h"
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

static void run_out(const struct dialect *dialect, const char *text)
{
    struct api_request r;
    struct api_error e;
    json_t *body = NULL;
    bool has_failed = true;

    assert_int_equal(json_in_object(text, strlen(text), &body, &e), ST_OK);
    if (parse(dialect, body, &r, &e) != ST_OK)
        fail_msg("%s: %s", text, e.message);
    api_request_release(&r);
    for (size_t k = 1; has_failed; k++) {
        enum status s;

        allocations_fail_at(k);
        s = parse(dialect, body, &r, &e);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (s != ST_OK && !e.message[0])
            fail_msg("%s, allocation %zu: refused without words", dialect->name, k);
        api_request_release(&r);
    }
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
    run_out(&openai_completions,
            "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"stop\":\"x\",\"logit_bias\":{\"5\":1}}");
    run_out(&openai_completions,
            "{\"model\":\"m\",\"prompt\":[[1,2],[3]],\"guided_regex\":\"a+\"}");
    run_out(&ollama_generate, "{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\"}");
    run_out(&openai_embeddings, "{\"model\":\"m\",\"input\":[\"a\",\"b\"]}");
    run_out(&rerank_jina, "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",\"b\"]}");
    run_out(&tokenize, "{\"model\":\"m\",\"content\":\"a\"}");
    run_out(&detokenize, "{\"model\":\"m\",\"tokens\":[1,2]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_runs_out_of_memory_anywhere),
        cmocka_unit_test(a_constrained_conversation_runs_out_of_memory_anywhere),
        cmocka_unit_test(other_conversations_run_out_of_memory_anywhere),
        cmocka_unit_test(prompts_run_out_of_memory_anywhere),
    };
    return cmocka_run_group_tests_name("gateway/dialect memory", tests, set_up, NULL);
}
