/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_safetensors.c - what safetensors files may say, and what is refused. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "fuzz/fuzz_model.h"
#include "model/safetensors/safetensors.h"
#include "support/folder.h"
#include "support/tiny_folder.h"

enum { SEED = 20261126, N_DAMAGED = 2000 };

#define TENSOR(name, dtype, shape, from, to)                                                       \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"
#define A TENSOR("a", "F16", "[2,3]", "0", "12")

static int set_up(void **state)
{
    static struct folder folder;

    folder_make(&folder);
    *state = &folder;
    return 0;
}

static int tear_down(void **state)
{
    folder_remove(*state);
    return 0;
}

static void put(const struct folder *folder, const char *name, const char *header, size_t n_bytes)
{
    char path[PATH_MAX_BYTES];
    struct buf file = { 0 };

    tiny_safetensors(header, n_bytes, &file);
    folder_put(folder, name, &file, path);
    buf_release(&file);
}

static void put_text(const struct folder *folder, const char *name, const char *text)
{
    char path[PATH_MAX_BYTES];
    struct buf file = { 0 };

    buf_puts(&file, text);
    folder_put(folder, name, &file, path);
    buf_release(&file);
}

static void tensors_lie_where_the_header_says(void **state)
{
    const struct folder *folder = *state;
    const struct safetensors_tensor *a, *b;
    struct safetensors *set;
    struct err err;

    put(folder, "model.safetensors",
        "{\"__metadata__\":{\"format\":\"mlx\"}," TENSOR("b", "BF16", "[]", "12", "14") "," A "}",
        14);
    assert_ok(safetensors_open(folder->path, &set, &err), err);
    assert_int_equal(safetensors_n(set), 2);
    a = safetensors_find(set, "a");
    b = safetensors_find(set, "b");
    assert_ptr_equal(a, safetensors_at(set, 0));
    assert_int_equal(a->dtype, SAFETENSORS_F16);
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->dims[0] * 10 + a->dims[1], 23);
    assert_int_equal(b->n_dims, 0);
    assert_int_equal((const char *)b->data - (const char *)a->data, 12);
    assert_null(safetensors_find(set, "c"));
    safetensors_free(set);
}

static void damaged_files_are_refused_in_words(void **state)
{
    static const struct {
        const char *header;
        size_t n_bytes;
        enum status status;
        const char *words;
    } cases[] = {
        { "{" A "}", 11, ST_FORMAT, "ends beyond the file" },
        { "{" A "}", 13, ST_FORMAT, "longer than its tensors" },
        { "[" A "]", 12, ST_FORMAT, "no JSON object" },
        { "{" A "," A "}", 12, ST_FORMAT, "no JSON object" },
        { "{" TENSOR("a", "F16", "[2,3]", "0", "10") "}", 10, ST_FORMAT, "its shape makes it 12" },
        { "{" TENSOR("a", "F16", "[2,0]", "0", "0") "}", 1, ST_FORMAT, "impossible dimension" },
        { "{" TENSOR("a", "F16", "[-1]", "0", "0") "}", 1, ST_FORMAT, "impossible dimension" },
        { "{" TENSOR("a", "F32", "[9223372036854775807]", "0", "4") "}", 4, ST_FORMAT,
          "impossible dimension" },
        { "{" TENSOR("a", "F16", "[1,1,1,1,1]", "0", "2") "}", 2, ST_FORMAT,
          "no shape of at most" },
        { "{" TENSOR("a", "F16", "[1]", "2", "0") "}", 2, ST_FORMAT, "ends beyond" },
        { "{" TENSOR("a", "F16", "[1]", "0", "-2") "}", 2, ST_FORMAT, "no place" },
        { "{" TENSOR("a", "F8_E4M3", "[1]", "0", "1") "}", 1, ST_UNSUPPORTED, "F8_E4M3" },
        { "{" TENSOR("a", "", "[1]", "0", "1") "}", 1, ST_FORMAT, "no number format" },
        { "{" TENSOR("a b", "U8", "[1]", "0", "1") "}", 1, ST_FORMAT, "printable" },
        { "{" A "," TENSOR("b", "F16", "[1]", "10", "12") "}", 12, ST_FORMAT, "shares bytes" },
        { "{" A "," TENSOR("b", "F16", "[1]", "14", "16") "}", 16, ST_FORMAT, "leaves a gap" },
    };
    struct safetensors *set;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };

        put(*state, "model.safetensors", cases[i].header, cases[i].n_bytes);
        if (safetensors_open(((const struct folder *)*state)->path, &set, &err) !=
                cases[i].status ||
            !strstr(err.words, cases[i].words))
            fail_msg("case %zu: status %d, \"%s\"", i, (int)err.status, err.words);
    }
}

static void a_header_longer_than_the_file_or_any_model_is_refused(void **state)
{
    const struct folder *folder = *state;
    struct safetensors *set;
    struct err err = { 0 };

    put_text(folder, "model.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}");
    assert_int_equal(safetensors_open(folder->path, &set, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "longer than the file"));
    put_text(folder, "model.safetensors", "short");
    assert_int_equal(safetensors_open(folder->path, &set, &err), ST_FORMAT);
}

static void several_files_are_one_set(void **state)
{
    struct folder folder;
    struct safetensors *set;
    struct err err = { 0 };

    (void)state;
    folder_make(&folder);
    assert_int_equal(safetensors_open(folder.path, &set, &err), ST_NOTFOUND);
    put(&folder, "one.safetensors", "{" A "}", 12);
    put(&folder, "two.safetensors", "{" TENSOR("z", "U8", "[3]", "0", "3") "}", 3);
    put_text(&folder, "model.safetensors.index.json",
             "{\"weight_map\":{\"z\":\"two.safetensors\",\"a\":\"one.safetensors\"}}");
    assert_ok(safetensors_open(folder.path, &set, &err), err);
    assert_int_equal(safetensors_n(set), 2);
    assert_non_null(safetensors_find(set, "z"));
    safetensors_free(set);

    put(&folder, "two.safetensors", "{" A "}", 12);
    assert_int_equal(safetensors_open(folder.path, &set, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "'a' is in two files"));
    put_text(&folder, "model.safetensors.index.json",
             "{\"weight_map\":{\"z\":\"../one.safetensors\"}}");
    assert_int_equal(safetensors_open(folder.path, &set, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "outside of its folder"));
    put_text(&folder, "model.safetensors.index.json", "{}");
    assert_int_equal(safetensors_open(folder.path, &set, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "no 'weight_map'"));
    folder_remove(&folder);
}

static void bytes_changed_anywhere_never_crash(void **state)
{
    struct buf file = { 0 };
    uint64_t x = SEED;

    (void)state;
    tiny_safetensors("{" A "," TENSOR("b", "U32", "[4]", "12", "28") "}", 28, &file);
    for (size_t i = 0; i < N_DAMAGED; i++) {
        unsigned char *copy = malloc(file.len);

        assert_non_null(copy);
        memcpy(copy, file.data, file.len);
        for (size_t k = 0; k <= i % 4; k++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull; /* Knuth, MMIX */
            copy[(x >> 24) % (file.len - 28)] = (unsigned char)(x >> 56);
        }
        assert_int_equal(LLVMFuzzerTestOneInput(copy, file.len - (i % 3 == 0 ? i % file.len : 0)),
                         0);
        free(copy);
    }
    buf_release(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_lie_where_the_header_says),
        cmocka_unit_test(damaged_files_are_refused_in_words),
        cmocka_unit_test(a_header_longer_than_the_file_or_any_model_is_refused),
        cmocka_unit_test(several_files_are_one_set),
        cmocka_unit_test(bytes_changed_anywhere_never_crash),
    };
    return cmocka_run_group_tests_name("model/safetensors", tests, set_up, tear_down);
}
