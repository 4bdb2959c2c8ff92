/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_template_memory.c - every allocation of a template may fail. */
#include "render_check.h"

#include "support/allocations.h"

/* Enough values that the arena needs several chunks. */
static const char source[] =
    "{% macro f(x) %}<{{ x|upper }}>{% endmacro %}{% set ns = namespace(s='') %}"
    "{% for i in range(400) %}{% set ns.s = ns.s ~ f(word) ~ [i, {'k': i}]|tojson %}"
    "{% if i % 100 == 0 %}{{ ns.s }}{% endif %}{% endfor %}";

static void a_template_without_memory_is_refused_and_leaves_none_behind(void **state)
{
    struct template *template = NULL;
    enum status s = ST_NOMEM;
    struct err err;
    size_t k = 0;

    (void)state;
    while (s == ST_NOMEM) {
        allocations_fail_at(++k);
        s = template_parse(source, sizeof(source) - 1, &template, &err);
        allocations_fail_at(0);
        assert_true((s == ST_OK) == (template != NULL));
    }
    assert_ok(s, err);
    assert_true(k > 2);
    template_free(template);
}

static void a_render_without_memory_is_refused_and_leaves_none_behind(void **state)
{
    json_t *variables = json_pack("{s:s}", "word", "abc");
    struct template *template = NULL;
    struct rendered got = { 0 };
    enum status s;
    struct err err;
    size_t k = 0;

    (void)state;
    assert_ok(template_parse(source, sizeof(source) - 1, &template, &err), err);
    do {
        allocations_fail_at(++k);
        s = template_render(template, NULL, variables, &got, &err);
        allocations_fail_at(0);
        assert_true((s == ST_OK) == (got.text.data != NULL));
    } while (s == ST_NOMEM);
    assert_ok(s, err);
    assert_true(k > 10);
    assert_int_equal(got.text.len, got.trusted.len);
    rendered_release(&got);
    template_free(template);
    json_decref(variables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_without_memory_is_refused_and_leaves_none_behind),
        cmocka_unit_test(a_render_without_memory_is_refused_and_leaves_none_behind),
    };
    return cmocka_run_group_tests_name("text/template memory", tests, NULL, NULL);
}
