/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_gguf.c - what was written is read; what GGUF forbids is refused. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "engine/dtype.h"
#include "model/gguf/gguf.h"
#include "support/folder.h"
#include "support/gguf_writer.h"

struct fixture {
    struct folder folder;
    struct gguf_writer w;
    struct gguf *g;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    folder_make(&f.folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    gguf_free(f->g);
    gguf_writer_release(&f->w);
    folder_remove(&f->folder);
    return 0;
}

static enum status open_bytes(struct fixture *f, const struct buf *file)
{
    char path[PATH_MAX_BYTES];

    gguf_free(f->g);
    f->g = NULL;
    return gguf_open(folder_put(&f->folder, "m.gguf", file, path), &f->g, &f->err);
}

static enum status open_written(struct fixture *f)
{
    struct buf file = { 0 };
    enum status s;

    gguf_writer_finish(&f->w, &file);
    s = open_bytes(f, &file);
    buf_release(&file);
    return s;
}

/* The file is refused with that status and words that hold `word`. */
static void assert_refused(struct fixture *f, enum status s, const char *word)
{
    assert_int_equal(open_written(f), s);
    if (!strstr(f->err.words, word))
        fail_msg("\"%s\" does not say \"%s\"", f->err.words, word);
    assert_null(strchr(f->err.words, '\n'));
}

static void put_f32s(struct gguf_writer *w, const char *name, uint64_t n)
{
    static const float zeros[64];

    gguf_put_tensor(w, name, DTYPE_F32, 1, &n, zeros, n * sizeof(float));
}

static void metadata_reads_back(void **state)
{
    static const char *const words[] = { "one", "", "three" };
    static const int32_t numbers[] = { 1, -2, 3 };
    struct fixture *f = *state;
    struct gguf_array array;
    struct gguf_text text;
    uint32_t u;
    float x;
    bool b;
    char word[8];

    gguf_put_u32(&f->w, "a.u32", 7);
    gguf_put_f32(&f->w, "a.f32", 0.5f);
    gguf_put_bool(&f->w, "a.bool", true);
    gguf_put_text(&f->w, "a.text", "some words");
    gguf_put_text(&f->w, "a.word", "word");
    gguf_put_texts(&f->w, "a.texts", words, 3);
    gguf_put_i32s(&f->w, "a.i32s", numbers, 3);
    assert_ok(open_written(f), f->err);
    assert_ok(gguf_get_u32(f->g, "a.u32", &u, &f->err), f->err);
    assert_int_equal(u, 7);
    assert_ok(gguf_get_f32(f->g, "a.f32", &x, &f->err), f->err);
    assert_true(x == 0.5f);
    assert_ok(gguf_get_bool(f->g, "a.bool", &b, &f->err), f->err);
    assert_true(b);
    assert_ok(gguf_get_text(f->g, "a.text", &text, &f->err), f->err);
    assert_int_equal(text.n, 10);
    assert_memory_equal(text.bytes, "some words", 10);
    assert_ok(gguf_get_word(f->g, "a.word", word, sizeof(word), &f->err), f->err);
    assert_string_equal(word, "word");
    assert_int_equal(gguf_get_word(f->g, "a.text", word, sizeof(word), &f->err), ST_FORMAT);
    assert_ok(gguf_get_array(f->g, "a.i32s", GGUF_INT32, &array, &f->err), f->err);
    assert_int_equal(array.n, 3);
    assert_memory_equal(array.bytes, numbers, sizeof(numbers));
    assert_ok(gguf_get_array(f->g, "a.texts", GGUF_STRING, &array, &f->err), f->err);
    for (size_t i = 0; i < 3; i++) {
        assert_true(gguf_array_next(&array, &text));
        assert_int_equal(text.n, strlen(words[i]));
        assert_memory_equal(text.bytes, words[i], text.n);
    }
    assert_false(gguf_array_next(&array, &text));
}

static void integers_of_every_width_are_numbers(void **state)
{
    static const struct {
        uint32_t type;
        int64_t value;
        size_t bytes;
        enum status status;
    } cases[] = {
        { GGUF_UINT8, 200, 1, ST_OK },           { GGUF_INT8, 100, 1, ST_OK },
        { GGUF_INT8, -1, 1, ST_FORMAT },         { GGUF_UINT16, 60000, 2, ST_OK },
        { GGUF_INT16, -300, 2, ST_FORMAT },      { GGUF_INT32, 70000, 4, ST_OK },
        { GGUF_INT32, -70000, 4, ST_FORMAT },    { GGUF_UINT64, 70000, 8, ST_OK },
        { GGUF_UINT64, 1ll << 32, 8, ST_RANGE }, { GGUF_INT64, -1, 8, ST_FORMAT },
        { GGUF_BOOL, 1, 1, ST_FORMAT },
    };
    struct fixture *f = *state;
    char key[16];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(key, sizeof(key), "k%zu", i);
        gguf_put_raw(&f->w, key, cases[i].type, &cases[i].value, cases[i].bytes);
    }
    assert_ok(open_written(f), f->err);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t u = 1;

        snprintf(key, sizeof(key), "k%zu", i);
        assert_int_equal(gguf_get_u32(f->g, key, &u, &f->err), cases[i].status);
        assert_int_equal(u, cases[i].status == ST_OK ? cases[i].value : 1);
    }
}

static void a_getter_names_the_key_it_misses(void **state)
{
    struct fixture *f = *state;
    struct gguf_array array;
    const float endless = (float)1e39;
    uint32_t u;
    float x;

    gguf_put_text(&f->w, "a.text", "words");
    gguf_put_f32(&f->w, "a.endless", endless);
    gguf_put_i32s(&f->w, "a.i32s", (const int32_t[]){ 1 }, 1);
    assert_ok(open_written(f), f->err);
    assert_int_equal(gguf_get_u32(f->g, "a.none", &u, &f->err), ST_NOTFOUND);
    assert_non_null(strstr(f->err.words, "'a.none'"));
    assert_int_equal(gguf_get_u32(f->g, "a.text", &u, &f->err), ST_FORMAT);
    assert_non_null(strstr(f->err.words, "'a.text'"));
    assert_int_equal(gguf_get_f32(f->g, "a.endless", &x, &f->err), ST_FORMAT);
    assert_int_equal(gguf_get_array(f->g, "a.i32s", GGUF_STRING, &array, &f->err), ST_FORMAT);
    assert_int_equal(gguf_get_array(f->g, "a.text", GGUF_STRING, &array, &f->err), ST_FORMAT);
}

static void tensors_are_found_by_name_with_their_bytes(void **state)
{
    struct fixture *f = *state;
    const uint64_t dims[] = { 2, 3 };
    const float values[] = { 1, 2, 3, 4, 5, 6 };
    const struct gguf_tensor *t;

    put_f32s(&f->w, "z", 5);
    gguf_put_tensor(&f->w, "a", DTYPE_F32, 2, dims, values, sizeof(values));
    assert_ok(open_written(f), f->err);
    assert_int_equal(gguf_n_tensors(f->g), 2);
    t = gguf_find_tensor(f->g, "a");
    assert_non_null(t);
    assert_int_equal(t->dims[0], 2);
    assert_int_equal(t->dims[1], 3);
    assert_int_equal(t->dims[2], 1);
    assert_int_equal(t->n_elems, 6);
    assert_int_equal(t->n_bytes, sizeof(values));
    assert_memory_equal(t->data, values, sizeof(values));
    assert_null(gguf_find_tensor(f->g, "b"));
}

static void a_file_without_anything_is_a_file(void **state)
{
    struct fixture *f = *state;

    assert_ok(open_written(f), f->err);
    assert_int_equal(gguf_n_tensors(f->g), 0);
    assert_false(gguf_has(f->g, "a"));
    assert_null(gguf_find_tensor(f->g, "a"));
}

static void alignment_of_the_file_is_followed(void **state)
{
    struct fixture *f = *state;

    f->w.alignment = 4096;
    gguf_put_u32(&f->w, "general.alignment", 4096);
    put_f32s(&f->w, "a", 1);
    put_f32s(&f->w, "b", 1);
    assert_ok(open_written(f), f->err);
    assert_int_equal((const char *)gguf_find_tensor(f->g, "b")->data -
                         (const char *)gguf_find_tensor(f->g, "a")->data,
                     4096);
}

static void alignments_that_are_no_multiple_of_8_are_refused(void **state)
{
    struct fixture *f = *state;

    for (uint32_t alignment = 0; alignment < 20; alignment += 5) {
        gguf_writer_release(&f->w);
        f->w = (struct gguf_writer){ 0 };
        gguf_put_u32(&f->w, "general.alignment", alignment);
        put_f32s(&f->w, "a", 1);
        assert_refused(f, ST_FORMAT, "general.alignment");
    }
}

static void versions_2_and_3_are_read_and_no_others(void **state)
{
    struct fixture *f = *state;

    f->w.version = 2;
    assert_ok(open_written(f), f->err);
    f->w.version = 1;
    assert_refused(f, ST_UNSUPPORTED, "version 1");
    f->w.version = 4;
    assert_refused(f, ST_UNSUPPORTED, "version 4");
    f->w.version = 3u << 24;
    assert_refused(f, ST_UNSUPPORTED, "big endian");
}

static void what_is_no_file_of_ours_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buf text = { 0 };

    assert_int_equal(gguf_open("/nowhere/m.gguf", &f->g, &f->err), ST_NOTFOUND);
    assert_int_equal(gguf_open(f->folder.path, &f->g, &f->err), ST_FORMAT);
    assert_non_null(strstr(f->err.words, "regular file"));
    buf_puts(&text, "GGUF");
    assert_int_equal(open_bytes(f, &text), ST_FORMAT);
    assert_non_null(strstr(f->err.words, "shorter"));
    buf_puts(&text, "                                ");
    text.data[0] = 'g';
    assert_int_equal(open_bytes(f, &text), ST_FORMAT);
    assert_non_null(strstr(f->err.words, "'GGUF'"));
    buf_release(&text);
}

static void a_key_twice_is_refused(void **state)
{
    struct fixture *f = *state;

    gguf_put_u32(&f->w, "same", 1);
    gguf_put_u32(&f->w, "other", 1);
    gguf_put_u32(&f->w, "same", 1);
    assert_refused(f, ST_FORMAT, "'same' is there twice");
}

static void a_tensor_twice_is_refused(void **state)
{
    struct fixture *f = *state;

    put_f32s(&f->w, "same", 8);
    put_f32s(&f->w, "other", 8);
    put_f32s(&f->w, "same", 8);
    assert_refused(f, ST_FORMAT, "'same' is there twice");
}

/* The offset of the last tensor is the last number of the directory. */
static void tensors_that_share_bytes_are_refused(void **state)
{
    struct fixture *f = *state;
    const uint64_t offset = 32;

    put_f32s(&f->w, "a", 16);
    put_f32s(&f->w, "b", 16);
    memcpy(f->w.tensors.data + f->w.tensors.len - 8, &offset, sizeof(offset));
    assert_refused(f, ST_FORMAT, "'a' and 'b' share bytes");
}

static void tensors_outside_the_file_are_refused(void **state)
{
    static const uint64_t offsets[] = { 1 << 20, UINT64_MAX - 31, 1ull << 63, 64 };
    struct fixture *f = *state;

    put_f32s(&f->w, "a", 16);
    for (size_t i = 0; i < 4; i++) {
        memcpy(f->w.tensors.data + f->w.tensors.len - 8, &offsets[i], sizeof(offsets[i]));
        assert_refused(f, ST_FORMAT, "beyond the end");
    }
}

/* A directory that lost an entry, or tells a smaller format than was stored. */
static void bytes_of_no_tensor_are_refused(void **state)
{
    struct fixture *f = *state;
    const uint64_t offset = 64, one = 1;

    put_f32s(&f->w, "a", 16);
    memcpy(f->w.tensors.data + f->w.tensors.len - 8, &offset, sizeof(offset));
    buf_append(&f->w.data, (const char[64]){ 0 }, 64);
    assert_refused(f, ST_FORMAT, "64 bytes before tensor 'a'");
    gguf_writer_release(&f->w);
    f->w = (struct gguf_writer){ 0 };
    put_f32s(&f->w, "a", 16);
    memcpy(f->w.tensors.data + 8 + 1 + 4, &one, sizeof(one)); /* its one dimension */
    assert_refused(f, ST_FORMAT, "last 60 bytes");
}

static void an_offset_that_is_not_aligned_is_refused(void **state)
{
    struct fixture *f = *state;
    const uint64_t offset = 8;

    put_f32s(&f->w, "a", 1);
    memcpy(f->w.tensors.data + f->w.tensors.len - 8, &offset, sizeof(offset));
    assert_refused(f, ST_FORMAT, "no multiple of 32");
}

static void impossible_dimensions_are_refused(void **state)
{
    static const struct {
        uint32_t n_dims;
        uint64_t dims[5];
        uint32_t type;
        const char *word;
    } cases[] = {
        { 0, { 1 }, DTYPE_F32, "0 dimensions" },
        { 5, { 1, 1, 1, 1, 1 }, DTYPE_F32, "5 dimensions" },
        { 1, { 0 }, DTYPE_F32, "impossible" },
        { 2, { 1ull << 32, 1ull << 32 }, DTYPE_F32, "impossible" },
        { 1, { 1ull << 63 }, DTYPE_F32, "larger than any machine" },
        { 1, { 33 }, DTYPE_Q8_0, "no multiple of the 32" },
        { 1, { 1ull << 40 }, DTYPE_F32, "beyond the end" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gguf_writer_release(&f->w);
        f->w = (struct gguf_writer){ 0 };
        gguf_put_tensor(&f->w, "t", cases[i].type, cases[i].n_dims, cases[i].dims, "x", 1);
        assert_refused(f, ST_FORMAT, cases[i].word);
    }
}

static void names_and_keys_are_short_ascii(void **state)
{
    struct fixture *f = *state;
    char longest[66];

    memset(longest, 'n', 65);
    longest[65] = '\0';
    put_f32s(&f->w, longest, 1);
    assert_refused(f, ST_FORMAT, "1 to 64 bytes");
    gguf_writer_release(&f->w);
    f->w = (struct gguf_writer){ 0 };
    put_f32s(&f->w, "line\nbreak", 1);
    assert_refused(f, ST_FORMAT, "1 to 64 bytes");
    gguf_put_u32(&f->w, "line\nbreak", 1);
    assert_refused(f, ST_FORMAT, "not ASCII");
}

static void a_truth_value_is_0_or_1(void **state)
{
    struct fixture *f = *state;

    gguf_put_raw(&f->w, "b", GGUF_BOOL, "\2", 1);
    assert_refused(f, ST_FORMAT, "neither 0 nor 1");
}

static void a_type_gguf_does_not_have_is_refused(void **state)
{
    struct fixture *f = *state;

    gguf_put_raw(&f->w, "b", 13, "\1\1\1\1\1\1\1\1", 8);
    assert_refused(f, ST_FORMAT, "type 13");
}

/* An array whose one item is an array whose one item is ... */
static void put_nested(struct gguf_writer *w, int depth)
{
    struct buf bytes = { 0 };
    const uint32_t array = GGUF_ARRAY, leaf = GGUF_UINT8;
    const uint64_t one = 1;

    for (int i = 1; i < depth; i++) {
        buf_append(&bytes, &array, 4);
        buf_append(&bytes, &one, 8);
    }
    buf_append(&bytes, &leaf, 4);
    buf_append(&bytes, &one, 8);
    buf_putc(&bytes, 1);
    gguf_put_raw(w, "nested", GGUF_ARRAY, bytes.data, bytes.len);
    buf_release(&bytes);
}

static void arrays_nest_four_deep_and_no_deeper(void **state)
{
    struct fixture *f = *state;

    put_nested(&f->w, 4);
    assert_ok(open_written(f), f->err);
    gguf_writer_release(&f->w);
    f->w = (struct gguf_writer){ 0 };
    put_nested(&f->w, 5);
    assert_refused(f, ST_RANGE, "more than 4 deep");
}

static void counts_beyond_the_file_are_refused(void **state)
{
    static const uint64_t counts[] = { 2, 1ull << 40, UINT64_MAX };
    struct fixture *f = *state;

    put_f32s(&f->w, "a", 16);
    gguf_put_u32(&f->w, "k", 1);
    for (size_t i = 0; i < 3; i++) {
        f->w.n_tensors = counts[i];
        assert_true(open_written(f) == ST_FORMAT);
        f->w.n_tensors = 1;
        f->w.n_pairs = counts[i];
        assert_true(open_written(f) == ST_FORMAT);
        f->w.n_pairs = 1;
    }
    assert_ok(open_written(f), f->err);
}

static void every_shorter_file_is_refused(void **state)
{
    static const char *const words[] = { "one", "two" };
    struct fixture *f = *state;
    struct buf file = { 0 };

    gguf_put_texts(&f->w, "texts", words, 2);
    put_nested(&f->w, 3);
    put_f32s(&f->w, "a", 16);
    gguf_writer_finish(&f->w, &file);
    assert_ok(open_bytes(f, &file), f->err);
    while (file.len > 1) {
        file.len--;
        assert_int_equal(open_bytes(f, &file), ST_FORMAT);
    }
    buf_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(metadata_reads_back),
        TEST(integers_of_every_width_are_numbers),
        TEST(a_getter_names_the_key_it_misses),
        TEST(tensors_are_found_by_name_with_their_bytes),
        TEST(a_file_without_anything_is_a_file),
        TEST(alignment_of_the_file_is_followed),
        TEST(alignments_that_are_no_multiple_of_8_are_refused),
        TEST(versions_2_and_3_are_read_and_no_others),
        TEST(what_is_no_file_of_ours_is_refused),
        TEST(a_key_twice_is_refused),
        TEST(a_tensor_twice_is_refused),
        TEST(tensors_that_share_bytes_are_refused),
        TEST(tensors_outside_the_file_are_refused),
        TEST(bytes_of_no_tensor_are_refused),
        TEST(an_offset_that_is_not_aligned_is_refused),
        TEST(impossible_dimensions_are_refused),
        TEST(names_and_keys_are_short_ascii),
        TEST(a_truth_value_is_0_or_1),
        TEST(a_type_gguf_does_not_have_is_refused),
        TEST(arrays_nest_four_deep_and_no_deeper),
        TEST(counts_beyond_the_file_are_refused),
        TEST(every_shorter_file_is_refused),
#undef TEST
    };
    return cmocka_run_group_tests_name("model/gguf", tests, NULL, NULL);
}
