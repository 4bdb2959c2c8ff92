/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_route.c - paths as people write them lead to one handler. */
#include "support/check.h"

#include <string.h>

#include "base/size.h"
#include "gateway/http/route.h"

static void handle(void *arg, struct exchange *x)
{
    (void)arg;
    (void)x;
}

static const struct http_route routes[] = {
    { "POST", "/chat/completions", handle },
    { "GET", "/models", handle },
    { "GET", "/models/", handle },
    { "DELETE", "/models/", handle },
};

static enum route_result find(const char *method, const char *path, struct route_match *m)
{
    return route_find(routes, ARRAY_LEN(routes), method, path, m);
}

static void the_version_may_be_missing_or_doubled(void **state)
{
    static const char *const paths[] = { "/chat/completions", "/v1/chat/completions",
                                         "/v1/v1/chat/completions", "/v1/chat/completions/" };
    struct route_match m;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(find("POST", paths[i], &m), ROUTE_FOUND);
        assert_ptr_equal(m.route, &routes[0]);
    }
}

static void a_models_name_is_the_rest_decoded(void **state)
{
    struct route_match m;

    (void)state;
    assert_int_equal(find("GET", "/v1/models/org/name%20x%2Fy", &m), ROUTE_FOUND);
    assert_string_equal(m.rest, "org/name x/y");
    assert_int_equal(find("GET", "/v1/models/", &m), ROUTE_FOUND);
    assert_ptr_equal(m.route, &routes[1]);
    assert_int_equal(find("GET", "/models/a%00b", &m), ROUTE_UNKNOWN_PATH);
    assert_int_equal(find("GET", "/models/100%", &m), ROUTE_FOUND);
    assert_string_equal(m.rest, "100%");
}

static void head_is_answered_where_get_is(void **state)
{
    struct route_match m;

    (void)state;
    assert_int_equal(find("HEAD", "/models", &m), ROUTE_FOUND);
    assert_int_equal(find("HEAD", "/chat/completions", &m), ROUTE_WRONG_METHOD);
}

static void a_wrong_method_names_the_right_ones(void **state)
{
    struct route_match m;

    (void)state;
    assert_int_equal(find("GET", "/v1/chat/completions", &m), ROUTE_WRONG_METHOD);
    assert_string_equal(m.allow, "POST");
    assert_int_equal(find("POST", "/models/x", &m), ROUTE_WRONG_METHOD);
    assert_string_equal(m.allow, "GET, HEAD, DELETE");
}

static void other_paths_are_unknown(void **state)
{
    static const char *const paths[] = { "",
                                         "/",
                                         "/v1",
                                         "/v1/",
                                         "/chat",
                                         "/chat/completionsx",
                                         "/v1/chat/completions/x",
                                         "//models",
                                         "/V1/models" };
    struct route_match m;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        assert_int_equal(find("GET", paths[i], &m), ROUTE_UNKNOWN_PATH);
}

static void query_values_are_found_and_bounded(void **state)
{
    char value[8];

    (void)state;
    assert_true(query_value("a=1&model=x%2By&b", "model", value, sizeof(value)));
    assert_string_equal(value, "x+y");
    assert_false(query_value("amodel=1", "model", value, sizeof(value)));
    assert_false(query_value("model=12345678", "model", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_false(query_value(NULL, "model", value, sizeof(value)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_may_be_missing_or_doubled),
        cmocka_unit_test(a_models_name_is_the_rest_decoded),
        cmocka_unit_test(head_is_answered_where_get_is),
        cmocka_unit_test(a_wrong_method_names_the_right_ones),
        cmocka_unit_test(other_paths_are_unknown),
        cmocka_unit_test(query_values_are_found_and_bounded),
    };
    return cmocka_run_group_tests_name("gateway/route", tests, NULL, NULL);
}
