/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_dialects.c - any body is refused by every API with one clear sentence, or is within bounds.
 *
 * What is taken goes on as flow/ would have it: a conversation through a chat template, functions
 * into a grammar.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "gateway/admin/place_request.h"
#include "gateway/dialect/dialect.h"
#include "gateway/dialect/responses_store.h"
#include "gateway/http/json_in.h"
#include "text/grammar/grammar.h"
#include "text/grammar/schema.h"
#include "text/template/template.h"
#include "text/tool_grammar.h"

#define TOOL                                                                                       \
    "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":\"Now\","       \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"unit\":" \
    "{\"enum\":[\"C\",\"F\"]}},\"required\":[\"city\"],\"additionalProperties\":false}}}"

static const char *const texts[] = {
    ("{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},{\"role\":"
     "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi \\u00e9\"}],\"name\":\"ann\"},{\"role\":"
     "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"function\","
     "\"function\":{\"name\":\"get_weather\",\"arguments\":\"{\\\"city\\\":\\\"Bern\\\"}\"}}],"
     "\"reasoning_content\":\"hm\"},{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":\"4\"}],"
     "\"tools\":[" TOOL "],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
     "\"get_weather\"}},\"parallel_tool_calls\":false,\"temperature\":0.5,\"n\":2,\"stop\":[\"a\",\"b\"],"
     "\"logit_bias\":{\"5\":1.5},\"logprobs\":true,\"top_logprobs\":3,\"stream\":true,"
     "\"stream_options\":{\"include_usage\":true},\"seed\":-7,\"max_completion_tokens\":9,\"user\":\"u\","
     "\"service_tier\":\"flex\",\"chat_template_kwargs\":{\"enable_thinking\":false},"
     "\"reasoning_effort\":\"low\",\"metadata\":{\"a\":\"b\"}}"),
    ("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"response_format\":{\"type\":"
     "\"json_schema\",\"json_schema\":{\"name\":\"x\",\"strict\":true,\"schema\":{\"type\":\"object\","
     "\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},{\"$ref\":\"#/$defs/b\"}]}},"
     "\"$defs\":{\"b\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^a+$\"}}}}}}}"),
    ("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"structured_outputs\":{\"regex\":\"[a-z]{1,9}"
     "\"},\"guided_choice\":[\"a\",\"b\"],\"grammar\":\"root ::= \\\"a\\\"*\",\"functions\":[{\"name\":\"f\","
     "\"parameters\":{}}],\"function_call\":\"auto\"}"),
    ("{\"model\":\"m\",\"prompt\":[[1,2,3],[4]],\"logprobs\":2,\"echo\":false,\"best_of\":1,"
     "\"stop_token_ids\":[1,2],\"top_k\":-1,\"min_tokens\":0,\"suffix\":\"\",\"n_predict\":4}"),
    "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"max_tokens\":0,\"echo\":true,\"logprobs\":0,\"min_p\":0.1}",
    ("{\"model\":\"m\",\"max_tokens\":64,\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":"
     "{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
     "\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"s\"},{\"type\":\"tool_use\","
     "\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{\"a\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":"
     "\"tool_result\",\"tool_use_id\":\"toolu_1\",\"content\":[{\"type\":\"text\",\"text\":\"r\"}],"
     "\"is_error\":false}]}],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
     "\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}}}}],\"tool_choice\":{\"type\":\"any\","
     "\"disable_parallel_tool_use\":true},\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":32},"
     "\"stop_sequences\":[\"x\"],\"metadata\":{\"user_id\":\"u\"},\"top_k\":5,\"stream\":true}"),
    ("{\"model\":\"m\",\"instructions\":\"i\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":"
     "[{\"type\":\"input_text\",\"text\":\"hi\"}]},{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":"
     "\"f\",\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"4\"},"
     "{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":"
     "\"hm\"}]},{\"type\":\"custom_tool_call\",\"call_id\":\"d\",\"name\":\"g\",\"input\":\"x\"},{\"type\":"
     "\"local_shell_call\",\"call_id\":\"e\",\"action\":{\"type\":\"exec\",\"command\":[\"ls\"]}}],"
     "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"object\"},\"strict\":true},"
     "{\"type\":\"custom\",\"name\":\"g\",\"format\":{\"type\":\"grammar\",\"syntax\":\"regex\","
     "\"definition\":\"a+\"}}],\"tool_choice\":\"auto\",\"text\":{\"format\":{\"type\":\"json_object\"}},"
     "\"reasoning\":{\"effort\":\"low\"},\"max_output_tokens\":9,\"store\":true,\"previous_response_id\":"
     "\"resp_1\",\"include\":[],\"truncation\":\"disabled\",\"stream\":true}"),
    "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\",\"dimensions\":8}",
    "{\"model\":\"m\",\"input\":[[1,2],[3]],\"pooling\":\"mean\"}",
    ("{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}],\"top_n\":1,"
     "\"return_documents\":true}"),
    "{\"query\":\"q\",\"texts\":[\"a\",\"b\"],\"return_text\":true,\"raw_scores\":false}",
    ("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\",\"images\":[]},{\"role\":"
     "\"assistant\",\"content\":\"\",\"thinking\":\"t\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
     "\"arguments\":{\"a\":1}}}]},{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"r\"}],\"tools\":[" TOOL
     "],\"format\":{\"type\":\"object\"},\"options\":{\"num_predict\":3,\"temperature\":0,\"stop\":[\"a\"],"
     "\"seed\":1,\"num_ctx\":2048,\"repeat_penalty\":1.1},\"think\":\"low\",\"keep_alive\":\"5m\"}"),
    ("{\"model\":\"m\",\"prompt\":\"p\",\"system\":\"s\",\"suffix\":\"x\",\"raw\":true,\"format\":\"json\","
     "\"stream\":false,\"keep_alive\":-1}"),
    "{\"content\":\"a\",\"add_special\":true,\"parse_special\":false,\"with_pieces\":true}",
    "{\"tokens\":[1,2,3]}",
    "{\"model\":\"m\",\"nodes\":[\"a\",\"b\"],\"split\":[18,12],\"context\":4096}",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), true };

static const struct dialect *const all[] = {
    &openai_chat,     &openai_completions, &anthropic_messages, &openai_responses,
    &tokenize,        &detokenize,         &apply_template,     &count_input_tokens,
    &anthropic_count, &responses_count,    &openai_embeddings,  &rerank_jina,
    &rerank_tei,      &ollama_embed,       &ollama_embeddings,  &ollama_chat,
    &ollama_generate,
};

static const char template_text[] =
    "{%- if tools %}{% for t in tools %}{{ t | tojson }}\n{% endfor %}{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content | trim }}{% else %}{% for p in m.content or [] %}"
    "{{ p.text }}{% endfor %}{% endif %}{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.name }}"
    "{{ c.function.arguments | tojson }}{% endfor %}{{ '</think>' in (m.content or '') }}"
    "{{ m.reasoning_content or '' }}<|im_end|>\n{% endfor %}"
    "{% if enable_thinking is defined and enable_thinking %}<think>{% endif %}<tool_call></tool_call>";

static void check_words(const char *words)
{
    if (!words[0] || strchr(words, '\n'))
        abort();
}

static void render(const json_t *variables)
{
    static struct template *template;
    struct rendered got = { 0 };
    struct err err = { 0 };

    if (!template &&
        template_parse(template_text, sizeof(template_text) - 1, &template, &err) != ST_OK)
        abort();
    if (template_render(template, NULL, variables, &got, &err) != ST_OK)
        check_words(err.words);
    else if (got.text.len != got.trusted.len)
        abort();
    rendered_release(&got);
}

static void force_calls(const struct api_request *r)
{
    const struct speech_format format = speech_format_of(template_text, sizeof(template_text) - 1);
    struct buf text = { 0 };
    struct grammar *g = NULL;
    struct err err = { 0 };

    grammar_json_rules(&text);
    if (tool_grammar(format.tools, r->tools, r->tool_name[0] ? r->tool_name : NULL, r->calls_once,
                     TOOL_GRAMMAR_WHOLE, &text, &err) == ST_OK &&
        grammar_compile(buf_text(&text), text.len, NULL, &g, &err) != ST_OK)
        check_words(err.words);
    grammar_free(g);
    buf_release(&text);
}

static void check_bounds(const struct api_request *r)
{
    if (r->n < 1 || r->n > REQUEST_CHOICES_MAX || r->n_stops > REQUEST_STOPS_MAX ||
        r->n_stop_tokens > STOP_TOKENS_MAX ||
        r->sampling.n_top_logprobs > REQUEST_TOP_LOGPROBS_MAX || strlen(r->model) >= MODEL_NAME_MAX)
        abort();
    for (size_t i = 0; r->prompts && i < r->n_prompts; i++)
        if (!r->prompts[i].text && !r->prompts[i].tokens && r->prompts[i].n_tokens > 0)
            abort();
}

static void parse(const struct dialect *dialect, const json_t *body, struct responses_store *store)
{
    struct api_error e = { 0 };
    struct api_request r;

    api_request_init(&r);
    r.dialect = dialect;
    r.store = store;
    if (dialect->parse(body, &r, &e) != ST_OK) {
        check_words(e.message);
    } else {
        check_bounds(&r);
        if (r.variables)
            render(r.variables);
        if (json_array_size(r.tools) > 0)
            force_calls(&r);
    }
    api_request_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct responses_store *store;
    struct api_error e = { 0 };
    struct place_request place;
    json_t *body;

    if (!store) {
        json_t *turns = json_pack("[{s:s,s:s}]", "role", "user", "content", "before");

        store = responses_store_new();
        if (!store)
            abort();
        responses_store_put(store, 0, "resp_1", turns);
        json_decref(turns);
    }
    if (json_in_object((const char *)bytes, n, &body, &e) != ST_OK) {
        check_words(e.message);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        parse(all[i], body, store);
    if (place_request_from_json(body, &place, &e) != ST_OK)
        check_words(e.message);
    json_decref(body);
    return 0;
}
