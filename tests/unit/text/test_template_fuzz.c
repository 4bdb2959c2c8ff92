/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_template_fuzz.c - 20,000 damaged templates neither crash nor escape a bound.
 *
 * Each is one of the sources below with a few changes: bytes replaced, parts
 * removed, repeated or taken from another source.  Whatever comes out must be
 * an answer with as many marks as bytes, or an error with words.  The seed is
 * a constant: a red run is reproduced by running it again.
 */
#include "render_check.h"

#include <stdlib.h>

enum { N_MUTATIONS = 20000, SEED = 20240117, SOURCE_MAX = 4096 };

static const char *const sources[] = {
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<s>system\nYou help.<e>\n' }}{% endif %}{{'<s>' + message['role'] + '\n' + "
    "message['content'] + '<e>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<s>assistant\n' }}{% endif %}",
    "{%- set ns = namespace(a=1, b='x') -%}{% for k, v in d.items() if k != 'z' %}"
    "{% set ns.a = ns.a + loop.index0 %}{{ k ~ v|tojson(indent=2) }}{% else %}none{% endfor %}",
    "{% macro f(a, b=[1, 2.5]) -%} {{ a|default('q', true) }}{{ b[::-1][0] }} {%- endmacro %}"
    "{{ f(1) }}{{ f('a', b='c') }}{% set x %}{{ f(2) }}{% endset %}{{ x|upper|indent(2) }}",
    "{# comment -#} {% raw %}{{ raw }}{% endraw %}{{ (1, 2, 'a')|join('-') }}{{ {'a': {1: none}} }}"
    "{{ 1 if a is defined and b is not none else 'c'[0:1] }}",
    "{{ s.split('o')[-1].strip('d') + s[1:-1:2] }}{{ messages|selectattr('role', 'equalto', 'user')"
    "|map(attribute='content')|list|length }}{{ [3, 1, 2]|sort(reverse=true)|first // 2 ** 3 % 2 }}",
    "{% for c in s %}{% if loop.last %}{% break %}{% elif c in 'lo' %}{% continue %}{% endif %}"
    "{{ loop.cycle('a', 'b') ~ c }}{% endfor %}{% filter title %}ab cd{% endfilter %}"
    "{% generation %}x{% endgeneration %}{{ '\\u00e9\\x41\\n' \"q\" }}{{ d|dictsort|tojson }}",
};

enum { N_SOURCES = sizeof(sources) / sizeof(sources[0]) };

static const char variables[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi \\u65e5\"},"
    " {\"role\": \"assistant\", \"content\": null}], \"s\": \"Hello W\\u00f6rld\","
    " \"d\": {\"k\": [1, 2.5, true], \"items\": {}}, \"a\": 3, \"add_generation_prompt\": true}";

static uint32_t random_below(uint32_t *seed, size_t n)
{
    *seed = *seed * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return (uint32_t)((uint64_t)(*seed >> 8) * n >> 24);
}

static size_t insert(char *text, size_t n, size_t at, const char *what, size_t n_what)
{
    if (n + n_what > SOURCE_MAX)
        return n;
    memmove(text + at + n_what, text + at, n - at);
    memcpy(text + at, what, n_what);
    return n + n_what;
}

/* One change; the new length. */
static size_t mutate(char *text, size_t n, uint32_t *seed)
{
    static const char interesting[] = "{}%#-+|.[]()'\"\\ \n:,~*/=<>0159aeinx\xc3\xff";
    const size_t at = random_below(seed, n), length = random_below(seed, n - at) / 4;
    const char *other = sources[random_below(seed, N_SOURCES)];
    const size_t from = random_below(seed, strlen(other));
    char part[SOURCE_MAX];

    switch (random_below(seed, 4)) {
    case 0: text[at] = interesting[random_below(seed, sizeof(interesting))]; return n;
    case 1: memmove(text + at, text + at + length, n - at - length); return n - length;
    case 2:
        memcpy(part, text + at, length);
        return insert(text, n, random_below(seed, n), part, length);
    default: return insert(text, n, at, other + from, random_below(seed, strlen(other) - from) / 2);
    }
}

static void damaged_templates_are_rendered_or_refused(void **state)
{
    json_t *request = json_loads(variables, 0, NULL);
    uint32_t seed = SEED;
    size_t n_rendered = 0;

    (void)state;
    assert_non_null(request);
    for (int i = 0; i < N_MUTATIONS; i++) {
        const char *source = sources[random_below(&seed, N_SOURCES)];
        char text[SOURCE_MAX];
        size_t n = strlen(source);
        struct template *template = NULL;
        struct rendered got = { 0 };
        struct err err = { 0 };
        enum status s;

        memcpy(text, source, n);
        for (uint32_t k = 1 + random_below(&seed, 4); k > 0 && n > 0; k--)
            n = mutate(text, n, &seed);
        s = template_parse(text, n, &template, &err);
        if (s == ST_OK)
            s = template_render(template, NULL, request, &got, &err);
        assert_true(s == ST_OK || s == ST_FORMAT || s == ST_UNSUPPORTED || s == ST_RANGE);
        assert_int_equal(got.text.len, got.trusted.len);
        assert_true((s == ST_OK) == (err.words[0] == '\0'));
        n_rendered += s == ST_OK;
        rendered_release(&got);
        template_free(template);
    }
    /* were all refused, rendering would not have been tried */
    assert_true(n_rendered > N_MUTATIONS / 20);
    json_decref(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_templates_are_rendered_or_refused),
    };
    return cmocka_run_group_tests_name("text/template fuzz", tests, NULL, NULL);
}
