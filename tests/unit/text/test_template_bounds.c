/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_template_bounds.c - no template and no request costs more than the bounds.
 *
 * Each source below would take for ever, or more memory or stack than there
 * is, without the bound that ends it.
 */
#include "render_check.h"

#include <stdlib.h>

/* `opening` n times, `middle`, `closing` n times.  free() it. */
static char *nested(const char *opening, const char *middle, const char *closing, size_t n)
{
    struct buf b = { 0 };

    for (size_t i = 0; i < n; i++)
        buf_puts(&b, opening);
    buf_puts(&b, middle);
    for (size_t i = 0; i < n; i++)
        buf_puts(&b, closing);
    return buf_take(&b);
}

static void a_long_source_is_refused(void **state)
{
    const size_t n_max = 256 * 1024;
    char *source = malloc(n_max + 1);
    struct rendered got = { 0 };
    struct err err = { 0 };

    (void)state;
    memset(source, 'a', n_max + 1);
    assert_ok(render(source, n_max, NULL, NULL, &got, &err), err);
    assert_int_equal(got.text.len, n_max);
    rendered_release(&got);
    assert_int_equal(render(source, n_max + 1, NULL, NULL, &got, &err), ST_RANGE);
    free(source);
}

static void nesting_ends_at_its_bound(void **state)
{
    static const struct {
        const char *opening, *middle, *closing;
    } rows[] = {
        { "{% if true %}", "x", "{% endif %}" },
        { "{% for i in [1] %}", "x", "{% endfor %}" },
    };
    char *source;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        source = nested(rows[i].opening, rows[i].middle, rows[i].closing, 64);
        assert_renders(source, NULL, "x");
        free(source);
        source = nested(rows[i].opening, rows[i].middle, rows[i].closing, 65);
        assert_fails(source, NULL, ST_RANGE, "nested");
        free(source);
    }
}

static void expressions_nest_to_their_bound(void **state)
{
    static const struct {
        const char *opening, *middle, *closing;
    } rows[] = {
        { "(", "1", ")" },        { "[", "1", "]" },    { "{1:", "1", "}" },
        { "not ", "1", "" },      { "-", "1", "" },     { "x[", "1", "]" },
        { "f(", "1", ")" },       { "1|d(", "1", ")" }, { "1 if 1 else ", "1", "" },
        { "1 is eq(", "1", ")" }, { "+-", "1", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t n = 65; n <= 20000; n *= 300) {
            char *expression = nested(rows[i].opening, rows[i].middle, rows[i].closing, n);
            struct buf source = { 0 };

            buf_printf(&source, "{{ %s }}", expression);
            assert_fails(buf_text(&source), NULL, ST_RANGE, "nested");
            buf_release(&source);
            free(expression);
        }
    }
}

static void long_chains_end_instead_of_the_stack(void **state)
{
    static const struct {
        const char *opening, *link, *closing;
    } rows[] = {
        { "{{ 1", "+1", " }}" },    { "{{ x", "~x", " }}" },       { "{{ 1", " and 1", " }}" },
        { "{{ 0", " or 0", " }}" }, { "{{ 1", "|abs", " }}" },     { "{{ d", ".d", " }}" },
        { "{{ d", "[0]", " }}" },   { "{{ 1", " is none", " }}" }, { "{{ f", "()", " }}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *links = nested(rows[i].link, "", "", 20000);
        struct buf source = { 0 };
        struct rendered got = { 0 };
        struct err err = { 0 };

        buf_printf(&source, "%s%s%s", rows[i].opening, links, rows[i].closing);
        if (render(source.data, source.len, NULL, NULL, &got, &err) != ST_OK)
            assert_int_equal(err.status, ST_RANGE);
        rendered_release(&got);
        buf_release(&source);
        free(links);
    }
}

static void a_hundred_links_are_no_problem(void **state)
{
    char *links = nested("+1", "", "", 100);
    struct buf source = { 0 };

    (void)state;
    buf_printf(&source, "{{ 0%s }}", links);
    assert_renders(buf_text(&source), NULL, "100");
    buf_release(&source);
    free(links);
}

static void a_thousand_branches_do_not_nest(void **state)
{
    char *branches = nested("{% elif x == 1 %}", "", "", 1000);
    struct buf source = { 0 };

    (void)state;
    buf_printf(&source, "{%% if x %%}%s{%% else %%}y{%% endif %%}", branches);
    assert_renders(buf_text(&source), NULL, "y");
    buf_release(&source);
    free(branches);
}

static void work_and_memory_end_at_their_bounds(void **state)
{
    static const char *const sources[] = {
        "{% for i in range(10**9) %}{% endfor %}",
        "{% for i in range(-9223372036854775807, 9223372036854775807) %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10**12 }}",
        "{{ 'x' * 9223372036854775807 }}",
        "{{ ([1] * 10**7) * 10**7 }}",
        "{{ 'x' * (40 * 1024 * 1024) }}",
        "{% for i in range(40) %}{{ 'x' * 1000000 }}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}"
        "{% endfor %}{{ ns.s }}",
        "{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ x ~ ns.s %}"
        "{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}"
        "{% endfor %}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}"
        "{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = [ns.l, ns.l] %}"
        "{% endfor %}{{ ns.l|tojson }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(99) %}"
        "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}"
        "{% endfor %}{{ ns.l }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(1000) %}{% set ns.l = [ns.l] %}"
        "{% endfor %}{{ ns.l|tojson(indent=1000) }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{{ f(n) ~ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(x=f()) %}{% endmacro %}{{ f() }}",
        "{{ ('a' * 1000000).count('a' * 500000 ~ 'b') }}",
        "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
        "{{ ('a' * 100000)|replace('', 'b' * 100000) }}",
        "{{ (['a'] * 100000)|join('b' * 100000) }}",
        "{{ range(100000)|unique|list|length }}",
        "{{ ('a\n' * 100000)|indent(100000) }}",
        "{{ 'x'|indent(10**10) }}",
        "{{ [1]|tojson(indent=10**10) }}",
        "{{ 2 ** 64 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ 1e300|int }}",
        "{% set s = 'a' * 10000000 %}{% for i in range(100000) %}{{ s == s[:] }}{% endfor %}",
        "{% set s = 'a' * 10000000 %}{% for i in range(100000) %}{{ s|length }}{% endfor %}",
        "{% set s = 'a' * 10000000 %}{% for i in range(100000) %}{{ s[-1] }}{% endfor %}",
        "{% set s = ' ' * 10000000 %}{% for i in range(100000) %}{{ s.split() }}{% endfor %}",
        "{% set s = ' ' * 10000000 %}{% for i in range(100000) %}{{ s|trim }}{% endfor %}",
        "{% set s = ' ' * 10000000 %}{% for i in range(100000) %}{{ 'b' in s }}{% endfor %}",
        "{% set s = '1' * 10000000 %}{% for i in range(100000) %}{{ s.isdigit() }}{% endfor %}",
        "{% set s = '1' * 10000000 %}{% for i in range(100000) %}{{ s is lower }}{% endfor %}",
        "{% set s = 'é' * 5000000 %}{% for i in range(100000) %}{{ s.rfind('x') }}{% endfor %}",
        "{% for i in range(100000) %}{% set x %}{{ 'x' * 100000 }}{% endset %}{% endfor %}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        assert_fails(sources[i], "{\"x\": \"\\u00e9\"}", ST_RANGE, "template line");
}

static void a_deep_request_is_refused(void **state)
{
    char *deep = nested("[", "1", "]", 1500);
    struct buf variables = { 0 };

    (void)state;
    buf_printf(&variables, "{\"x\": %s}", deep);
    assert_fails("{{ x }}", buf_text(&variables), ST_RANGE, "nested");
    buf_release(&variables);
    free(deep);
}

/* A conversation of many long messages is far from every bound. */
static void a_long_conversation_renders(void **state)
{
    struct buf variables = { 0 };
    struct rendered got = { 0 };
    struct err err = { 0 };
    const char *source = "{% set ns = namespace(n=0) %}{% for m in messages %}"
                         "{{ '<' + m['role'] + '>' + m['content']|trim + '\n' }}"
                         "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}";

    (void)state;
    buf_puts(&variables, "{\"messages\": [");
    for (int i = 0; i < 2000; i++)
        buf_printf(&variables, "%s{\"role\": \"user\", \"content\": \"%01000d\"}", i ? "," : "", i);
    buf_puts(&variables, "]}");
    assert_ok(render(source, strlen(source), NULL, buf_text(&variables), &got, &err), err);
    assert_int_equal(got.text.len, 2000 * (6 + 1000 + 1) + 4);
    rendered_release(&got);
    buf_release(&variables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_source_is_refused),
        cmocka_unit_test(nesting_ends_at_its_bound),
        cmocka_unit_test(expressions_nest_to_their_bound),
        cmocka_unit_test(long_chains_end_instead_of_the_stack),
        cmocka_unit_test(a_hundred_links_are_no_problem),
        cmocka_unit_test(a_thousand_branches_do_not_nest),
        cmocka_unit_test(work_and_memory_end_at_their_bounds),
        cmocka_unit_test(a_deep_request_is_refused),
        cmocka_unit_test(a_long_conversation_renders),
    };
    return cmocka_run_group_tests_name("text/template bounds", tests, NULL, NULL);
}
