/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_hub.c - where a model came from, as nodes tell it one another.
 *
 * What asks a hub is tested against one on loopback: tests/integration/test_pull.py.
 */
#include "support/check.h"

#include <string.h>

#include "model/store/hub.h"

static void an_origin_says_where_its_file_is(void **state)
{
    static const struct {
        const char *origin, *endpoint, *url;
        bool is_of_endpoint;
    } good[] = {
        { "hf:me/m-GGUF/m.Q4_0.gguf@abc", NULL, HUB_ENDPOINT "/me/m-GGUF/resolve/abc/m.Q4_0.gguf",
          true },
        { "hf:me/m-GGUF/q4/m.gguf@main", "http://mirror:8080//",
          "http://mirror:8080/me/m-GGUF/resolve/main/q4/m.gguf", true },
        { "https://h/a/m.gguf", NULL, "https://h/a/m.gguf", false },
        { HUB_ENDPOINT "/me/m/blob/v1/m.gguf?download=true", NULL,
          HUB_ENDPOINT "/me/m/resolve/v1/m.gguf", true },
        { "https://huggingface.co.evil/me/m/resolve/v1/m.gguf", NULL,
          "https://huggingface.co.evil/me/m/resolve/v1/m.gguf", false },
    };
    struct hub_file file;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_ok(hub_find_origin(good[i].origin, good[i].endpoint, &file, &err), err);
        assert_string_equal(file.url, good[i].url);
        assert_int_equal(file.is_of_endpoint, good[i].is_of_endpoint);
    }
}

static void what_is_no_origin_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "hf:",
        "hf:me/m",
        "hf:me/m@main",
        "hf:me/../m/m.gguf",
        "hf:/m.gguf",
        "hf:me/m/x.bin@v",
        "hf:me/m/m.gguf@a/b",
        "hf:me/m/m.gguf@",
        "ftp://h/m.gguf",
        "hf:me/m/m.gguf@v\nX: y",
        "hf:me/m/m-00001-of-00002.gguf@v",
    };
    struct hub_file file;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (hub_find_origin(bad[i], NULL, &file, &err) == ST_OK)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_not_equal(hub_find_origin("hf:me/m/m.gguf@v", "mirror", &file, &err), ST_OK);
}

static void an_origin_names_the_commit_and_tells_no_key(void **state)
{
    struct hub_file file;
    char origin[MODEL_ORIGIN_MAX];
    struct err err;

    (void)state;
    assert_ok(hub_find_origin("hf:me/m/m.gguf@main", NULL, &file, &err), err);
    hub_origin(&file, "", origin);
    assert_string_equal(origin, "hf:me/m/m.gguf@main");
    hub_origin(&file, "0a1b", origin);
    assert_string_equal(origin, "hf:me/m/m.gguf@0a1b");
    assert_ok(hub_find_origin("https://h/m.gguf", NULL, &file, &err), err);
    hub_origin(&file, "", origin);
    assert_string_equal(origin, "https://h/m.gguf");
    assert_ok(hub_find_origin("https://h/m.gguf?key=1", NULL, &file, &err), err);
    hub_origin(&file, "", origin);
    assert_string_equal(origin, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_origin_says_where_its_file_is),
        cmocka_unit_test(what_is_no_origin_is_refused),
        cmocka_unit_test(an_origin_names_the_commit_and_tells_no_key),
    };
    return cmocka_run_group_tests_name("model/hub", tests, NULL, NULL);
}
