/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_buf.c - a buffer grows, consumes and remembers failure. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void content_is_always_terminated(void **state)
{
    struct buf b = { 0 };

    (void)state;
    assert_string_equal(buf_text(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%d,", i);
    assert_int_equal(strlen(buf_text(&b)), b.len);
    buf_consume(&b, 2);
    assert_memory_equal(b.data, "1,2,3,", 6);
    buf_clear(&b);
    assert_string_equal(buf_text(&b), "");
    buf_release(&b);
}

static void taking_leaves_an_empty_buffer(void **state)
{
    struct buf b = { 0 };
    char *text;

    (void)state;
    text = buf_take(&b);
    assert_string_equal(text, "");
    free(text);
    buf_append(&b, "a\0b", 3);
    text = buf_take(&b);
    assert_memory_equal(text, "a\0b", 4);
    assert_int_equal(b.len, 0);
    free(text);
}

static void an_impossible_size_is_remembered(void **state)
{
    struct buf b = { 0 };

    (void)state;
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ST_NOMEM);
    buf_puts(&b, "lost");
    assert_int_equal(buf_status(&b), ST_NOMEM);
    assert_null(buf_take(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_is_always_terminated),
        cmocka_unit_test(taking_leaves_an_empty_buffer),
        cmocka_unit_test(an_impossible_size_is_remembered),
    };
    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
