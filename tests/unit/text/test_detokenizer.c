/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_detokenizer.c - text comes out in whole characters. */
#include "support/check.h"

#include <stdlib.h>

#include "small_vocab.h"

#define R "\xEF\xBF\xBD" /* the replacement character */

struct fixture {
    struct small_vocab v;
    struct tokenizer *tokenizer;
    struct detokenizer d;
    struct buf text;
    int32_t control, shown, two_halves;
};

static int set_up(void **state)
{
    static struct fixture f;
    enum status s;

    memset(&f, 0, sizeof(f));
    small_init(&f.v, "smollm");
    f.control = small_piece(&f.v, "<|end|>", TOKEN_CONTROL);
    f.shown = small_piece(&f.v, "<tool>", TOKEN_USER_DEFINED);
    f.two_halves = small_piece(&f.v, "©Ã", TOKEN_NORMAL); /* A9 C3: end of one, begin of another */
    s = tokenizer_new(&f.v.vocab, &f.tokenizer, NULL);
    detokenizer_init(&f.d, f.tokenizer);
    *state = &f;
    return s == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    buf_release(&f->text);
    tokenizer_free(f->tokenizer);
    return 0;
}

static void push_bytes(struct fixture *f, const char *bytes)
{
    for (; *bytes; bytes++)
        detokenizer_push(&f->d, (unsigned char)*bytes, &f->text);
}

static void part_of_a_character_is_held_back(void **state)
{
    struct fixture *f = *state;

    push_bytes(f, "a\xF0\x9F\x98");
    assert_string_equal(buf_text(&f->text), "a");
    push_bytes(f, "\x80!");
    assert_string_equal(buf_text(&f->text), "a\U0001F600!");
    detokenizer_flush(&f->d, &f->text);
    assert_string_equal(buf_text(&f->text), "a\U0001F600!");
}

static void a_token_may_end_one_character_and_begin_another(void **state)
{
    struct fixture *f = *state;

    push_bytes(f, "\xC3");
    detokenizer_push(&f->d, f->two_halves, &f->text);
    assert_string_equal(buf_text(&f->text), "\u00E9");
    push_bytes(f, "\xA8");
    assert_string_equal(buf_text(&f->text), "\u00E9\u00E8");
}

static void what_is_held_at_the_end_is_replaced_once(void **state)
{
    struct fixture *f = *state;

    push_bytes(f, "x\xF0\x9F\x98");
    detokenizer_flush(&f->d, &f->text);
    assert_string_equal(buf_text(&f->text), "x" R);
    push_bytes(f, "y");
    detokenizer_flush(&f->d, &f->text);
    assert_string_equal(buf_text(&f->text), "x" R "y");
}

static void control_tokens_give_no_text_and_user_defined_ones_do(void **state)
{
    struct fixture *f = *state;

    push_bytes(f, "\xC3");
    detokenizer_push(&f->d, f->control, &f->text);
    push_bytes(f, "\xA9");
    detokenizer_push(&f->d, f->shown, &f->text);
    detokenizer_push(&f->d, 100000, &f->text);
    detokenizer_push(&f->d, TOKEN_NONE, &f->text);
    assert_string_equal(buf_text(&f->text), "\u00E9<tool>");
}

/* Sequences of The Unicode Standard, section 3.9, tables 3-8 to 3-11. */
static void ill_formed_sequences_are_replaced_by_maximal_subparts(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        { "\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", R R R R R R R R "A" },
        { "\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", R R R R R R R R "A" },
        { "\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", R R R R R "A" R R "B" },
        { "\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", R R R R "A" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&f->text);
        push_bytes(f, cases[i].bytes);
        detokenizer_flush(&f->d, &f->text);
        assert_string_equal(buf_text(&f->text), cases[i].text);
    }
}

static void every_character_passes_unchanged(void **state)
{
    struct fixture *f = *state;

    for (uint32_t c = 0x80; c <= 0x10FFFF; c += c < 0x1000 ? 1 : 61) {
        char bytes[5] = { 0 };

        if (c >= 0xD800 && c < 0xE000)
            continue;
        if (c < 0x800) {
            bytes[0] = (char)(0xC0 | c >> 6);
            bytes[1] = (char)(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
            bytes[0] = (char)(0xE0 | c >> 12);
            bytes[1] = (char)(0x80 | (c >> 6 & 0x3F));
            bytes[2] = (char)(0x80 | (c & 0x3F));
        } else {
            bytes[0] = (char)(0xF0 | c >> 18);
            bytes[1] = (char)(0x80 | (c >> 12 & 0x3F));
            bytes[2] = (char)(0x80 | (c >> 6 & 0x3F));
            bytes[3] = (char)(0x80 | (c & 0x3F));
        }
        buf_clear(&f->text);
        push_bytes(f, bytes);
        assert_string_equal(buf_text(&f->text), bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(part_of_a_character_is_held_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_may_end_one_character_and_begin_another, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_held_at_the_end_is_replaced_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(control_tokens_give_no_text_and_user_defined_ones_do,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(ill_formed_sequences_are_replaced_by_maximal_subparts,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_character_passes_unchanged, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("text/detokenizer", tests, NULL, NULL);
}
