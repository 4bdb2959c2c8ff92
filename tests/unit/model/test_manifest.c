/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_manifest.c - hashes of pieces, and the map of those that are here. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/file.h"
#include "model/share/manifest.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { PIECE = 4096, MODIFIED_AT = 44 };

struct fixture {
    struct folder folder;
    char path[PATH_MAX_BYTES];
    struct buf file, encoded;
    struct manifest manifest;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    folder_make(&f.folder);
    tiny_llama_build(&tiny_llama_default, &f.file);
    folder_put(&f.folder, "m.gguf", &f.file, f.path);
    assert_ok(manifest_make(f.path, PIECE, NULL, NULL, &f.manifest, &f.err), f.err);
    manifest_encode(&f.manifest, &f.encoded);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    manifest_release(&f->manifest);
    buf_release(&f->file);
    buf_release(&f->encoded);
    folder_remove(&f->folder);
    return 0;
}

static void a_piece_fits_itself_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    const struct manifest *m = &f->manifest;
    const uint32_t last = m->n_pieces - 1;
    const size_t n_last = f->file.len - (size_t)last * PIECE;
    char *bytes = f->file.data;

    assert_true(m->n_pieces > 20);
    assert_int_equal(m->file_bytes, f->file.len);
    for (uint32_t i = 0; i < last; i++)
        assert_true(manifest_fits(m, i, bytes + (size_t)i * PIECE, PIECE));
    assert_true(manifest_fits(m, last, bytes + (size_t)last * PIECE, n_last));
    assert_false(manifest_fits(m, last, bytes + (size_t)last * PIECE, n_last - 1));
    assert_false(manifest_fits(m, 0, bytes, PIECE - 1));
    assert_false(manifest_fits(m, 1, bytes, PIECE));
    bytes[PIECE + 77] ^= 1;
    assert_false(manifest_fits(m, 1, bytes + PIECE, PIECE));
}

static void what_is_written_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct manifest m;

    assert_ok(manifest_decode(f->encoded.data, f->encoded.len, &m, &f->err), f->err);
    assert_int_equal(m.n_pieces, f->manifest.n_pieces);
    assert_int_equal(m.head_bytes, f->manifest.head_bytes);
    assert_int_equal(m.modified_unix_s, f->manifest.modified_unix_s);
    assert_memory_equal(m.model_digest, f->manifest.model_digest, sizeof(m.model_digest));
    assert_memory_equal(m.hashes, f->manifest.hashes, (size_t)m.n_pieces * PIECE_HASH_BYTES);
    assert_memory_equal(m.root, f->manifest.root, sizeof(m.root));
    manifest_release(&m);
}

static void every_shorter_or_longer_manifest_is_refused(void **state)
{
    struct fixture *f = *state;
    struct manifest m;

    for (size_t n = 0; n < f->encoded.len; n++)
        assert_int_equal(manifest_decode(f->encoded.data, n, &m, &f->err), ST_FORMAT);
    buf_putc(&f->encoded, 0);
    assert_int_equal(manifest_decode(f->encoded.data, f->encoded.len, &m, &f->err), ST_FORMAT);
}

static void a_change_of_any_byte_is_refused(void **state)
{
    struct fixture *f = *state;
    struct manifest m;

    for (size_t i = 0; i < f->encoded.len; i++) {
        if (i >= MODIFIED_AT && i < MODIFIED_AT + 8)
            continue; /* the file's time is no content */
        f->encoded.data[i] ^= 0x20;
        assert_int_equal(manifest_decode(f->encoded.data, f->encoded.len, &m, &f->err), ST_FORMAT);
        assert_true(f->err.words[0] != '\0');
        f->encoded.data[i] ^= 0x20;
    }
}

/* A sender that lies makes a root that fits. */
static void seal(struct buf *b)
{
    unsigned n = 0;
    unsigned char *bytes = (unsigned char *)b->data;
    struct buf hashed = { 0 };

    buf_append(&hashed, bytes, MODIFIED_AT);
    buf_append(&hashed, bytes + MODIFIED_AT + 8, b->len - PIECE_HASH_BYTES - MODIFIED_AT - 8);
    assert_int_equal(EVP_Digest(hashed.data, hashed.len, bytes + b->len - PIECE_HASH_BYTES, &n,
                                EVP_sha256(), NULL),
                     1);
    buf_release(&hashed);
}

static void sizes_that_contradict_one_another_are_refused(void **state)
{
    static const struct {
        size_t at, n;
        uint64_t value;
    } lies[] = {
        { 28, 8, 0 },          { 28, 8, UINT64_MAX },
        { 28, 8, 1 },                                     /* file_bytes */
        { 36, 8, 0 },          { 36, 8, UINT64_MAX / 2 }, /* head_bytes */
        { 52, 4, 0 },          { 52, 4, 3 },
        { 52, 4, 1u << 31 },   { 52, 4, PIECE * 2 }, /* piece_bytes */
        { 56, 4, UINT32_MAX }, { 56, 4, 0 },         /* n_pieces */
    };
    struct fixture *f = *state;
    struct manifest m;

    seal(&f->encoded);
    assert_ok(manifest_decode(f->encoded.data, f->encoded.len, &m, &f->err), f->err);
    manifest_release(&m);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct buf b = { 0 };

        buf_append(&b, f->encoded.data, f->encoded.len);
        for (size_t k = 0; k < lies[i].n; k++)
            b.data[lies[i].at + k] = (char)(lies[i].value >> 8 * k & 0xff);
        seal(&b);
        assert_int_equal(manifest_decode(b.data, b.len, &m, &f->err), ST_FORMAT);
        buf_release(&b);
    }
}

static bool stop_at_once(void *arg, uint64_t done, uint64_t total)
{
    (void)arg;
    return done > total;
}

static void making_one_can_be_ended(void **state)
{
    struct fixture *f = *state;
    struct manifest m;

    assert_int_equal(manifest_make(f->path, PIECE, stop_at_once, NULL, &m, &f->err), ST_CANCELED);
}

static void a_map_covers_what_was_added(void **state)
{
    struct piece_map map;
    struct err err;

    (void)state;
    assert_ok(piece_map_init(&map, 10 * PIECE + 5, PIECE, &err), err);
    assert_int_equal(map.n_pieces, 11);
    assert_int_equal(piece_map_bytes(&map, 10), 5);
    piece_map_add(&map, PIECE - 1, 2);
    assert_true(piece_map_has(&map, 0) && piece_map_has(&map, 1) && !piece_map_has(&map, 2));
    assert_true(piece_map_covers(&map, 0, 2 * PIECE));
    assert_false(piece_map_covers(&map, 0, 2 * PIECE + 1));
    piece_map_add(&map, 10 * PIECE, UINT64_MAX);
    assert_int_equal(piece_map_count(&map, NULL), 2 * PIECE + 5);
    assert_true(piece_map_covers(&map, 10 * PIECE, 5));
    assert_false(piece_map_covers(&map, 10 * PIECE, 6));
    assert_false(piece_map_covers(&map, UINT64_MAX, 1));
    piece_map_release(&map);
}

static void a_map_is_kept_beside_the_file_and_checked(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES];
    struct piece_map map, read;
    struct buf bytes = { 0 };

    assert_int_equal(piece_map_read(f->path, &read, &f->err), ST_NOTFOUND);
    assert_ok(manifest_map(&f->manifest, &map, &f->err), f->err);
    piece_map_set(&map, 3, true);
    assert_ok(piece_map_write(f->path, &map, &f->err), f->err);
    assert_ok(piece_map_read(f->path, &read, &f->err), f->err);
    assert_true(piece_map_has(&read, 3) && !piece_map_has(&read, 4) && !read.is_clean);
    assert_memory_equal(read.root, map.root, sizeof(map.root));
    piece_map_release(&read);
    piece_map_release(&map);

    folder_path(&f->folder, "m.gguf.pieces", path);
    assert_ok(file_read(path, 1 << 20, &bytes, &f->err), f->err);
    for (size_t n = 0; n < bytes.len; n++) {
        assert_ok(file_replace(path, bytes.data, n, &f->err), f->err);
        assert_int_equal(piece_map_read(f->path, &read, &f->err), ST_FORMAT);
    }
    buf_release(&bytes);
}

static void sizes_of_pieces_keep_their_number_bounded(void **state)
{
    (void)state;
    assert_int_equal(piece_bytes_of(1), PIECE_BYTES);
    assert_int_equal(piece_bytes_of(40ULL << 30), PIECE_BYTES);
    assert_int_equal(piece_bytes_of(((uint64_t)PIECES_MAX << 20) + 1), 2 * PIECE_BYTES);
    assert_int_equal(piece_bytes_of(UINT64_MAX / 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_piece_fits_itself_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_written_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_shorter_or_longer_manifest_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_any_byte_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes_that_contradict_one_another_are_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(making_one_can_be_ended, set_up, tear_down),
        cmocka_unit_test(a_map_covers_what_was_added),
        cmocka_unit_test_setup_teardown(a_map_is_kept_beside_the_file_and_checked, set_up,
                                        tear_down),
        cmocka_unit_test(sizes_of_pieces_keep_their_number_bounded),
    };
    return cmocka_run_group_tests_name("model/manifest", tests, NULL, NULL);
}
