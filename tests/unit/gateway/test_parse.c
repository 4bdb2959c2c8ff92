/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_parse.c - every wrong parameter is named, every right one arrives. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/dialect/dialect.h"
#include "gateway/http/json_in.h"

static enum status parse(const struct dialect *dialect, const char *text, struct api_request *r,
                         struct api_error *e)
{
    json_t *body = NULL;
    enum status s = json_in_object(text, strlen(text), &body, e);

    api_request_init(r);
    if (s == ST_OK)
        s = dialect->parse(body, r, e);
    json_decref(body);
    return s;
}

/* Bodies are: {"model":"m", <the required>, <fields>} */
#define CHAT  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define PLAIN "\"prompt\":\"hi\""

static struct api_request parse_ok(const struct dialect *dialect, const char *fields)
{
    struct api_request r;
    struct api_error e;
    char text[4096];

    (void)snprintf(text, sizeof(text), "{\"model\":\"m\",%s%s}", fields,
                   dialect == &openai_chat ? CHAT : PLAIN);
    if (parse(dialect, text, &r, &e) != ST_OK)
        fail_msg("%s: %s", text, e.message);
    return r;
}

struct bad {
    const char *fields, *param, *code;
};

static void refuse_all(const struct dialect *dialect, const struct bad *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct api_request r;
        struct api_error e;
        char text[4096];

        (void)snprintf(text, sizeof(text), "{\"model\":\"m\",%s,%s}",
                       dialect == &openai_chat ? CHAT : PLAIN, rows[i].fields);
        if (parse(dialect, text, &r, &e) == ST_OK)
            fail_msg("accepted: %s", text);
        if (strcmp(e.param, rows[i].param) != 0 ||
            strcmp(api_error_code(e.kind), rows[i].code) != 0)
            fail_msg("%s: param %s, code %s", text, e.param, api_error_code(e.kind));
        assert_int_equal(api_error_http(e.kind), 400);
        api_request_release(&r);
    }
}

static const struct bad bad_anywhere[] = {
    { "\"model\":5", "model", "invalid_type" },
    { "\"model\":null", "model", "missing_required_parameter" },
    { "\"temperature\":\"hot\"", "temperature", "invalid_type" },
    { "\"temperature\":2.1", "temperature", "invalid_value" },
    { "\"temperature\":-0.1", "temperature", "invalid_value" },
    { "\"top_p\":1.5", "top_p", "invalid_value" },
    { "\"min_p\":true", "min_p", "invalid_type" },
    { "\"top_k\":-2", "top_k", "invalid_value" },
    { "\"top_k\":1.5", "top_k", "invalid_type" },
    { "\"frequency_penalty\":-3", "frequency_penalty", "invalid_value" },
    { "\"presence_penalty\":[]", "presence_penalty", "invalid_type" },
    { "\"repetition_penalty\":0", "repetition_penalty", "invalid_value" },
    { "\"repeat_penalty\":-1", "repeat_penalty", "invalid_value" },
    { "\"n\":0", "n", "invalid_value" },
    { "\"n\":9", "n", "invalid_value" },
    { "\"n\":\"2\"", "n", "invalid_type" },
    { "\"seed\":\"x\"", "seed", "invalid_type" },
    { "\"seed\":1.5", "seed", "invalid_type" },
    { "\"max_tokens\":0", "max_tokens", "invalid_value" },
    { "\"max_tokens\":-1", "max_tokens", "invalid_value" },
    { "\"max_tokens\":2147483648", "max_tokens", "invalid_value" },
    { "\"max_completion_tokens\":{}", "max_completion_tokens", "invalid_type" },
    { "\"max_tokens\":5,\"min_tokens\":6", "min_tokens", "invalid_value" },
    { "\"stop\":\"\"", "stop", "invalid_value" },
    { "\"stop\":7", "stop", "invalid_type" },
    { "\"stop\":[\"a\",7]", "stop", "invalid_type" },
    { "\"stop\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
      "\"a\",\"a\",\"a\",\"a\"]",
      "stop", "invalid_value" },
    { "\"stop_token_ids\":3", "stop_token_ids", "invalid_type" },
    { "\"stop_token_ids\":[-1]", "stop_token_ids", "invalid_value" },
    { "\"ignore_eos\":1", "ignore_eos", "invalid_type" },
    { "\"stream\":\"yes\"", "stream", "invalid_type" },
    { "\"stream_options\":true", "stream_options", "invalid_type" },
    { "\"stream_options\":{\"include_usage\":1}", "include_usage", "invalid_type" },
    { "\"logit_bias\":[1]", "logit_bias", "invalid_type" },
    { "\"logit_bias\":[[null,1]]", "logit_bias", "invalid_type" },
    { "\"logit_bias\":[[\"x\",\"y\"]]", "logit_bias", "invalid_type" },
    { "\"logit_bias\":[[\"x\",-101]]", "logit_bias", "invalid_value" },
    { "\"logit_bias\":{\"x\":1}", "logit_bias", "invalid_value" },
    { "\"logit_bias\":{\"-1\":1}", "logit_bias", "invalid_value" },
    { "\"logit_bias\":{\"1\":101}", "logit_bias", "invalid_value" },
    { "\"logit_bias\":{\"1\":\"x\"}", "logit_bias", "invalid_type" },
    { "\"grammar\":\"root ::= x\"", "grammar", "invalid_grammar" },
    { "\"grammar\":7", "grammar", "invalid_type" },
    { "\"guided_json\":{\"not\":{}}", "guided_json", "invalid_json_schema" },
    { "\"guided_regex\":\"(?=a)\"", "guided_regex", "invalid_grammar" },
    { "\"guided_choice\":[]", "guided_choice", "invalid_value" },
    { "\"structured_outputs\":{\"x\":1}", "structured_outputs", "unsupported_parameter" },
    { "\"guided_json\":{},\"grammar\":\"root ::= []?\"", "guided_json", "invalid_value" },
    { "\"chat_template\":\"{{x}}\"", "chat_template", "unsupported_parameter" },
    { "\"user\":7", "user", "invalid_type" },
    { "\"safety_identifier\":{}", "safety_identifier", "invalid_type" },
    { "\"service_tier\":1", "service_tier", "invalid_type" },
    { "\"service_tier\":\"fast\"", "service_tier", "invalid_value" },
};

static const struct bad bad_chat[] = {
    { "\"messages\":\"hi\"", "messages", "invalid_type" },
    { "\"messages\":null", "messages", "missing_required_parameter" },
    { "\"messages\":[]", "messages", "invalid_value" },
    { "\"messages\":[5]", "messages[0]", "invalid_type" },
    { "\"messages\":[{\"content\":\"x\"}]", "messages[0].role", "missing_required_parameter" },
    { "\"messages\":[{\"role\":7}]", "messages[0].role", "invalid_type" },
    { "\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"cat\",\"content\":\"x\"}]",
      "messages[1].role", "invalid_value" },
    { "\"messages\":[{\"role\":\"user\"}]", "messages[0].content", "missing_required_parameter" },
    { "\"messages\":[{\"role\":\"user\",\"content\":null}]", "messages[0].content",
      "invalid_type" },
    { "\"messages\":[{\"role\":\"user\",\"content\":{}}]", "messages[0].content", "invalid_type" },
    { "\"messages\":[{\"role\":\"user\",\"content\":[\"x\"]}]", "messages[0].content",
      "invalid_type" },
    { "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]",
      "messages[0].content", "unsupported_parameter" },
    { "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":1}]}]",
      "messages[0].content", "invalid_type" },
    { "\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]", "messages[0].tool_calls",
      "invalid_value" },
    { "\"logprobs\":5", "logprobs", "invalid_type" },
    { "\"top_logprobs\":2", "top_logprobs", "invalid_value" },
    { "\"logprobs\":true,\"top_logprobs\":21", "top_logprobs", "invalid_value" },
    { "\"tools\":[{}]", "tools[0]", "missing_required_parameter" },
    { "\"tools\":[{\"type\":\"computer\"}]", "tools[0]", "unsupported_parameter" },
    { "\"tool_choice\":\"required\"", "tool_choice", "invalid_value" },
    { "\"functions\":[{}]", "functions[0]", "missing_required_parameter" },
    { "\"response_format\":{\"type\":\"xml\"}", "response_format.type", "invalid_value" },
    { "\"response_format\":{\"type\":\"json_schema\"}", "response_format.json_schema",
      "missing_required_parameter" },
    { "\"modalities\":[\"text\",\"audio\"]", "modalities", "unsupported_parameter" },
    { "\"audio\":{}", "audio", "unsupported_parameter" },
    { "\"best_of\":2", "best_of", "unsupported_parameter" },
    { "\"echo\":true", "echo", "unsupported_parameter" },
    { "\"typical_p\":0.9", "typical_p", "unsupported_parameter" },
    { "\"mirostat\":2", "mirostat", "unsupported_parameter" },
    { "\"dry_multiplier\":0.8", "dry_multiplier", "unsupported_parameter" },
    { "\"xtc_probability\":\"1\"", "xtc_probability", "unsupported_parameter" },
    { "\"top_n_sigma\":1", "top_n_sigma", "unsupported_parameter" },
    { "\"use_beam_search\":true", "use_beam_search", "unsupported_parameter" },
    { "\"bad_words\":[\"x\"]", "bad_words", "unsupported_parameter" },
    { "\"allowed_token_ids\":[1]", "allowed_token_ids", "unsupported_parameter" },
    { "\"truncate_prompt_tokens\":5", "truncate_prompt_tokens", "unsupported_parameter" },
    { "\"skip_special_tokens\":false", "skip_special_tokens", "unsupported_parameter" },
    { "\"return_token_ids\":true", "return_token_ids", "unsupported_parameter" },
    { "\"return_progress\":1", "return_progress", "invalid_type" },
    { "\"cache_salt\":[]", "cache_salt", "invalid_type" },
    { "\"chat_template_kwargs\":7", "chat_template_kwargs", "invalid_type" },
};

static const struct bad bad_plain[] = {
    { "\"prompt\":null", "prompt", "missing_required_parameter" },
    { "\"prompt\":5", "prompt", "invalid_type" },
    { "\"prompt\":[]", "prompt", "invalid_value" },
    { "\"prompt\":[[]]", "prompt", "invalid_value" },
    { "\"prompt\":[1,\"x\"]", "prompt", "invalid_type" },
    { "\"prompt\":[\"x\",1]", "prompt", "invalid_type" },
    { "\"prompt\":[-1]", "prompt", "invalid_value" },
    { "\"prompt\":[4294967296]", "prompt", "invalid_value" },
    { "\"suffix\":3", "suffix", "invalid_type" },
    { "\"echo\":\"yes\"", "echo", "invalid_type" },
    { "\"best_of\":2", "best_of", "unsupported_parameter" },
    { "\"logprobs\":21", "logprobs", "invalid_value" },
    { "\"logprobs\":true", "logprobs", "invalid_type" },
};

static void each_wrong_parameter_is_named(void **state)
{
    (void)state;
    refuse_all(&openai_chat, bad_anywhere, ARRAY_LEN(bad_anywhere));
    refuse_all(&openai_completions, bad_anywhere, ARRAY_LEN(bad_anywhere));
    refuse_all(&openai_chat, bad_chat, ARRAY_LEN(bad_chat));
    refuse_all(&openai_completions, bad_plain, ARRAY_LEN(bad_plain));
}

static void sampling_arrives_as_it_was_asked(void **state)
{
    struct api_request r = parse_ok(
        &openai_chat, "\"temperature\":0,\"top_p\":0.5,\"min_p\":0.25,\"top_k\":7,"
                      "\"frequency_penalty\":-2,\"presence_penalty\":2,\"repeat_penalty\":1.5,"
                      "\"seed\":-1,\"n\":3,\"logit_bias\":{\"17\":-100,\"4\":2.5},"
                      "\"logprobs\":true,\"top_logprobs\":20,");

    (void)state;
    assert_float_equal(r.sampling.temperature, 0, 0);
    assert_float_equal(r.sampling.top_p, 0.5, 0);
    assert_float_equal(r.sampling.min_p, 0.25, 0);
    assert_int_equal(r.sampling.top_k, 7);
    assert_float_equal(r.sampling.frequency_penalty, -2, 0);
    assert_float_equal(r.sampling.presence_penalty, 2, 0);
    assert_float_equal(r.sampling.repetition_penalty, 1.5, 0);
    assert_true(r.has_seed);
    assert_true(r.sampling.seed == UINT64_MAX);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.sampling.n_logit_bias, 2);
    assert_int_equal(r.sampling.n_top_logprobs, 20);
    assert_string_equal(r.model, "m");
    api_request_release(&r);
}

static void null_and_hints_change_nothing(void **state)
{
    struct api_request r = parse_ok(
        &openai_chat,
        "\"temperature\":null,\"stop\":null,\"tools\":null,\"response_format\":null,\"n\":null,"
        "\"user\":\"u\",\"metadata\":{},\"store\":true,\"service_tier\":\"auto\",\"unknown\":[1],"
        "\"tools\":[],\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],"
        "\"typical_p\":1.0,\"mirostat\":0,\"mirostat_tau\":5.0,\"dry_multiplier\":0.0,\"dry_base\":1.75,"
        "\"xtc_probability\":0,\"xtc_threshold\":0.1,\"top_n_sigma\":-1,\"dynatemp_range\":0.0,\"tfs_z\":1,"
        "\"use_beam_search\":false,\"length_penalty\":1.0,\"bad_words\":[],\"best_of\":1,\"echo\":false,"
        "\"skip_special_tokens\":true,\"return_token_ids\":false,\"allowed_token_ids\":null,");

    (void)state;
    assert_float_equal(r.sampling.temperature, 1, 0);
    assert_false(r.has_seed);
    assert_int_equal(r.n, 1);
    assert_int_equal(r.max_tokens, 0);
    api_request_release(&r);
}

static void the_newer_length_wins(void **state)
{
    struct api_request r =
        parse_ok(&openai_chat, "\"max_completion_tokens\":9,\"max_tokens\":5,\"n_predict\":3,");

    (void)state;
    assert_int_equal(r.max_tokens, 9);
    api_request_release(&r);
    r = parse_ok(&openai_chat, "\"max_tokens\":5.0,");
    assert_int_equal(r.max_tokens, 5);
    api_request_release(&r);
    r = parse_ok(&openai_completions, "");
    assert_int_equal(r.max_tokens, 16);
    api_request_release(&r);
}

static void content_of_every_form_becomes_one_string(void **state)
{
    struct api_request r;
    struct api_error e;
    const json_t *messages;
    char *text;

    (void)state;
    assert_int_equal(
        parse(&openai_chat,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},"
              "{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
              "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":null}],"
              "\"reasoning_effort\":\"low\",\"chat_template_kwargs\":{\"enable_thinking\":false,"
              "\"tokenize\":true}}",
              &r, &e),
        ST_OK);
    messages = json_object_get(r.variables, "messages");
    text = json_dumps(messages, JSON_COMPACT);
    assert_string_equal(text, "[{\"role\":\"system\",\"content\":\"s\"},"
                              "{\"role\":\"user\",\"content\":\"ab\",\"name\":\"ann\"},"
                              "{\"role\":\"assistant\",\"content\":\"\"}]");
    free(text);
    assert_true(json_is_true(json_object_get(r.variables, "add_generation_prompt")));
    assert_true(json_is_false(json_object_get(r.variables, "enable_thinking")));
    assert_string_equal(json_string_value(json_object_get(r.variables, "reasoning_effort")), "low");
    assert_null(json_object_get(r.variables, "tokenize"));
    api_request_release(&r);
}

static void prompts_come_in_four_forms(void **state)
{
    static const struct {
        const char *prompt;
        size_t n_prompts, n_tokens;
    } rows[] = {
        { "\"x\"", 1, 0 },
        { "[\"x\",\"y\"]", 2, 0 },
        { "[5,6,7]", 1, 3 },
        { "[[5],[6,7]]", 2, 1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct api_request r;
        struct api_error e;
        char text[128];

        (void)snprintf(text, sizeof(text), "{\"model\":\"m\",\"prompt\":%s}", rows[i].prompt);
        assert_int_equal(parse(&openai_completions, text, &r, &e), ST_OK);
        assert_int_equal(r.n_prompts, rows[i].n_prompts);
        assert_int_equal(r.prompts[0].n_tokens, rows[i].n_tokens);
        assert_int_equal(r.prompts[0].text == NULL, rows[i].n_tokens > 0);
        api_request_release(&r);
    }
}

static void bad_json_says_where(void **state)
{
    char deep[300];
    struct api_request r;
    struct api_error e;

    (void)state;
    assert_int_equal(parse(&openai_chat, "{\"a\":\n  tru}", &r, &e), ST_FORMAT);
    assert_string_equal(api_error_code(e.kind), "invalid_json");
    assert_non_null(strstr(e.message, "line 2"));
    assert_non_null(strstr(e.message, "column"));
    assert_int_equal(parse(&openai_chat, "", &r, &e), ST_FORMAT);
    assert_int_equal(parse(&openai_chat, "[1]", &r, &e), ST_FORMAT);
    assert_string_equal(api_error_code(e.kind), "invalid_type");
    memset(deep, '[', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    assert_int_equal(parse(&openai_chat, deep, &r, &e), ST_FORMAT);
    assert_non_null(strstr(e.message, "nested"));
    /* Brackets in a string are text. */
    (void)snprintf(deep, sizeof(deep), "{\"model\":\"m\",%s,\"x\":\"\\\"%0100d\"}", CHAT, 0);
    assert_int_equal(parse(&openai_chat, deep, &r, &e), ST_OK);
    api_request_release(&r);
}

static uint64_t tenant_of(const char *fields)
{
    struct api_request r = parse_ok(&openai_chat, fields);
    const uint64_t tenant = r.tenant;

    api_request_release(&r);
    return tenant;
}

static void requests_of_one_user_are_one_tenant(void **state)
{
    (void)state;
    assert_int_equal(tenant_of(""), 0);
    assert_int_equal(tenant_of("\"user\":null,"), 0);
    assert_int_not_equal(tenant_of("\"user\":\"ann\","), 0);
    assert_int_not_equal(tenant_of("\"user\":\"ann\","), tenant_of("\"user\":\"bob\","));
    assert_int_equal(tenant_of("\"user\":\"bob\",\"safety_identifier\":\"ann\","),
                     tenant_of("\"user\":\"ann\","));
}

static void a_cache_key_names_what_is_gone_on_with(void **state)
{
    struct api_request with = parse_ok(&openai_completions, "\"prompt_cache_key\":\"thread 1\",");
    struct api_request without = parse_ok(&openai_completions, "\"user\":\"ann\",");

    (void)state;
    assert_int_not_equal(with.session, 0);
    assert_int_equal(with.tenant, 0);
    assert_int_equal(without.session, 0);
    api_request_release(&with);
    api_request_release(&without);
}

static void biases_come_as_an_object_or_as_pairs(void **state)
{
    struct api_request r =
        parse_ok(&openai_completions, "\"logit_bias\":[[7,-1.5],[\"a\",2],[9,false]],");

    (void)state;
    assert_int_equal(r.sampling.n_logit_bias, 2);
    assert_int_equal(r.logit_bias[0].token, 7);
    assert_float_equal(r.logit_bias[0].bias, -1.5f, 0);
    assert_int_equal(r.logit_bias[1].token, 9);
    assert_float_equal(r.logit_bias[1].bias, -100.0f, 0);
    assert_int_equal(json_array_size(r.bias_texts), 1);
    assert_string_equal(json_string_value(json_array_get(json_array_get(r.bias_texts, 0), 0)), "a");
    api_request_release(&r);
}

static enum priority priority_of(const char *fields)
{
    struct api_request r = parse_ok(&openai_completions, fields);
    const enum priority priority = r.priority;

    api_request_release(&r);
    return priority;
}

static void the_flex_tier_is_a_batch(void **state)
{
    (void)state;
    assert_int_equal(priority_of(""), PRIORITY_INTERACTIVE);
    assert_int_equal(priority_of("\"service_tier\":null,"), PRIORITY_INTERACTIVE);
    assert_int_equal(priority_of("\"service_tier\":\"auto\","), PRIORITY_INTERACTIVE);
    assert_int_equal(priority_of("\"service_tier\":\"flex\","), PRIORITY_BATCH);
    assert_int_equal(priority_of("\"priority\":5,"),
                     PRIORITY_BATCH); /* vLLM's: the lower, the sooner */
    assert_int_equal(priority_of("\"priority\":-5,"), PRIORITY_INTERACTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_of_one_user_are_one_tenant),
        cmocka_unit_test(a_cache_key_names_what_is_gone_on_with),
        cmocka_unit_test(biases_come_as_an_object_or_as_pairs),
        cmocka_unit_test(the_flex_tier_is_a_batch),
        cmocka_unit_test(each_wrong_parameter_is_named),
        cmocka_unit_test(sampling_arrives_as_it_was_asked),
        cmocka_unit_test(null_and_hints_change_nothing),
        cmocka_unit_test(the_newer_length_wins),
        cmocka_unit_test(content_of_every_form_becomes_one_string),
        cmocka_unit_test(prompts_come_in_four_forms),
        cmocka_unit_test(bad_json_says_where),
    };
    return cmocka_run_group_tests_name("gateway/parse", tests, NULL, NULL);
}
