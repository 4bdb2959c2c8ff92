/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_template.c - what templates render to, and how they fail.
 *
 * tests/integration/test_template.py holds far more against Jinja itself;
 * here is what must be true by the contract's words alone.
 */
#include "render_check.h"

/* The chat template of SmolLM2-135M-Instruct, as its GGUF has it. */
static const char smollm2[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
    "Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}";

static void smollm2_renders_a_conversation(void **state)
{
    (void)state;
    assert_renders(smollm2,
                   "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}],"
                   " \"add_generation_prompt\": true}",
                   "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by "
                   "Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                   "<|im_start|>assistant\n");
    assert_renders(smollm2,
                   "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"},"
                   " {\"role\": \"user\", \"content\": \"\\u00e9\"}]}",
                   "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n\u00e9<|im_end|>\n");
}

static void white_space_around_tags_follows_trim_and_lstrip_blocks(void **state)
{
    (void)state;
    assert_renders("a\n  {% if true %}\nb\n  {% endif %}\nc\n", NULL, "a\nb\nc");
    assert_renders("a \n {%- if true -%} \n b {%- endif -%} \n c", NULL, "abc");
    assert_renders("a\n  {%+ if true +%}\nb{% endif %}", NULL, "a\n  \nb");
    assert_renders("  {{ 1 }}\n\n{{ 2 -}}  \n3", NULL, "  1\n\n23");
    assert_renders("a\n  {# gone #}\nb", NULL, "a\nb");
    assert_renders("{% raw %}{{ x }}{% endraw %}\n.", NULL, "{{ x }}.");
    assert_renders("x\r\ny\rz\n", NULL, "x\ny\nz");
}

static void a_name_set_in_a_loop_ends_with_the_turn(void **state)
{
    (void)state;
    assert_renders("{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }},{% endfor %}"
                   "{{ x }}",
                   NULL, "2,3,1");
    assert_renders("{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}"
                   "{% endfor %}{{ ns.x }}",
                   NULL, "4");
    assert_renders("{% if true %}{% set y = 5 %}{% endif %}{{ y }}", NULL, "5");
}

static void a_macro_has_defaults_and_its_own_names(void **state)
{
    (void)state;
    assert_renders("{% macro f(a, b='!') %}{{ a }}{{ b }}{% set z = 1 %}{% endmacro %}"
                   "{{ f('x') }}{{ f('y', b='?') }}{{ z }}",
                   NULL, "x!y?");
    assert_fails("{% macro f(a) %}{% endmacro %}\n{{ f(1, 2) }}", NULL, ST_FORMAT, "line 2");
}

static void a_wrong_template_is_refused_with_its_line(void **state)
{
    (void)state;
    assert_fails("\n{% if x %}", NULL, ST_FORMAT, "expected {% endif %}");
    assert_fails("\n\n{{ 1 + }}", NULL, ST_FORMAT, "line 3: expected an expression");
    assert_fails("{{ 'abc }}", NULL, ST_FORMAT, "closing '");
    assert_fails("{# never closed", NULL, ST_FORMAT, "comment");
    assert_fails("{% endfor %}", NULL, ST_FORMAT, "expected a statement but found 'endfor'");
    assert_fails("{{ (1] }}", NULL, ST_FORMAT, "']' closes nothing");
    assert_fails("{% break %}", NULL, ST_FORMAT, "outside a loop");
    assert_fails("\xff", NULL, ST_FORMAT, "UTF-8");
    assert_fails("{{ 99999999999999999999 }}", NULL, ST_RANGE, "64 bits");
}

static void what_is_not_supported_is_named_with_its_line(void **state)
{
    (void)state;
    assert_fails("\n{% include 'x' %}", NULL, ST_UNSUPPORTED, "line 2: {% include %}");
    assert_fails("\n{{ 1|filesizeformat }}", NULL, ST_UNSUPPORTED, "line 2: no filter 'filesize");
    assert_fails("{{ 1 is prime }}", NULL, ST_UNSUPPORTED, "no test 'prime'");
    assert_fails("{{ 'x'.zfill(3) }}", NULL, ST_UNSUPPORTED, "no method 'zfill' of a string");
    assert_fails("{{ '%d' % 3 }}", NULL, ST_UNSUPPORTED, "formatting a string");
    assert_fails("{% for x in y recursive %}{% endfor %}", NULL, ST_UNSUPPORTED, "recursive");
}

static void an_operation_on_the_wrong_type_is_an_error_with_its_line(void **state)
{
    (void)state;
    assert_fails("\n\n{{ 'a' + 1 }}", NULL, ST_FORMAT, "line 3: a string + an integer");
    assert_fails("{{ 1 / 0 }}", NULL, ST_FORMAT, "division by zero");
    assert_fails("{{ [] < 1 }}", NULL, ST_FORMAT, "no order");
    assert_fails("{% for x in 3 %}{% endfor %}", NULL, ST_FORMAT, "iterated");
    assert_fails("{{ nothing.x }}", NULL, ST_FORMAT, "'nothing' is undefined");
    assert_fails("{{ nothing() }}", NULL, ST_FORMAT, "'nothing' is undefined");
    assert_fails("{{ 9223372036854775807 + 1 }}", NULL, ST_RANGE, "64 bits");
    assert_fails("{{ {[]: 1} }}", NULL, ST_FORMAT, "cannot be a key");
    assert_fails("\n{{ raise_exception('Roles must alternate') }}", NULL, ST_FORMAT,
                 "line 2: Roles must alternate");
}

/* What a message quotes may hold anything; the words must stay one line of UTF-8. */
static void the_words_of_an_error_are_one_line_of_whole_characters(void **state)
{
    struct rendered got = { 0 };
    struct err err = { 0 };
    json_t *text;

    (void)state;
    assert_fails("{{ raise_exception('a\n\tb') }}", NULL, ST_FORMAT, "a  b");
    for (int shift = 0; shift < 3; shift++) {
        static const char *const sources[] = {
            "{{ raise_exception('\u20ac' * 400) }}",
            "{{ raise_exception('a' ~ '\u20ac' * 400) }}",
            "{{ raise_exception('ab' ~ '\u20ac' * 400) }}",
        };

        assert_int_equal(render(sources[shift], strlen(sources[shift]), NULL, NULL, &got, &err),
                         ST_FORMAT);
        text = json_string(err.words); /* NULL for what is not UTF-8 */
        assert_non_null(text);
        json_decref(text);
    }
}

static void an_undefined_value_prints_as_nothing(void **state)
{
    (void)state;
    assert_renders("[{{ nothing }}{{ {}.x }}{{ [1][7] }}{% for x in nothing %}x{% endfor %}]", NULL,
                   "[]");
    assert_renders("{{ nothing is defined }} {{ nothing|default('d') }} {{ nothing|length }}", NULL,
                   "False d 0");
}

static void an_object_is_written_as_it_was_before(void **state)
{
    static const char variables[] =
        "{\"f\":{\"arguments\":{\"a\":\"\303\251\",\"\\u001fwritten\":\"{\\\"a\\\":  \\\"\\\\u00e9\\\"}\"}}}";

    (void)state;
    assert_renders("{{ f.arguments | tojson }}", variables, "{\"a\":  \"\\u00e9\"}");
    assert_renders("{{ f | tojson }}", variables, "{\"arguments\": {\"a\":  \"\\u00e9\"}}");
    assert_renders("{% for k, v in f.arguments.items() %}{{ k }}={{ v }};{% endfor %}", variables,
                   "a=\303\251;");
    assert_renders("{{ f.arguments | length }}", variables, "1");
    assert_renders("{{ f.arguments | tojson(indent=1) }}", variables, "{\n \"a\": \"\303\251\"\n}");
}

static void variables_may_be_missing(void **state)
{
    (void)state;
    assert_renders("", NULL, "");
    assert_renders("{{ tools }}", "{}", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smollm2_renders_a_conversation),
        cmocka_unit_test(white_space_around_tags_follows_trim_and_lstrip_blocks),
        cmocka_unit_test(a_name_set_in_a_loop_ends_with_the_turn),
        cmocka_unit_test(a_macro_has_defaults_and_its_own_names),
        cmocka_unit_test(a_wrong_template_is_refused_with_its_line),
        cmocka_unit_test(what_is_not_supported_is_named_with_its_line),
        cmocka_unit_test(an_operation_on_the_wrong_type_is_an_error_with_its_line),
        cmocka_unit_test(the_words_of_an_error_are_one_line_of_whole_characters),
        cmocka_unit_test(an_undefined_value_prints_as_nothing),
        cmocka_unit_test(an_object_is_written_as_it_was_before),
        cmocka_unit_test(variables_may_be_missing),
    };
    return cmocka_run_group_tests_name("text/template", tests, NULL, NULL);
}
