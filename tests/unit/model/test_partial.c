/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_partial.c - a file of some of a model's pieces: filled, torn, used. */
#include "support/check.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "model/share/partial.h"
#include "model/share/shard_pieces.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { PIECE = 4096 };

struct fixture {
    struct folder folder;
    char whole[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    struct buf file;
    struct manifest manifest;
    struct partial *partial;
    struct err err;
};

static int set_up_with(void **state, bool is_tied)
{
    static struct fixture f;
    struct tiny_llama spec = tiny_llama_default;

    f = (struct fixture){ 0 };
    spec.is_tied = is_tied;
    folder_make(&f.folder);
    tiny_llama_build(&spec, &f.file);
    folder_put(&f.folder, "whole.gguf", &f.file, f.whole);
    folder_path(&f.folder, "part.gguf", f.path);
    assert_ok(manifest_make(f.whole, PIECE, NULL, NULL, &f.manifest, &f.err), f.err);
    *state = &f;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, true);
}

static int set_up_untied(void **state)
{
    return set_up_with(state, false);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    partial_close(f->partial);
    manifest_release(&f->manifest);
    buf_release(&f->file);
    folder_remove(&f->folder);
    return 0;
}

static void open_it(struct fixture *f)
{
    assert_ok(partial_open(f->path, &f->manifest, 0, &f->partial, &f->err), f->err);
}

static void close_it(struct fixture *f)
{
    partial_close(f->partial);
    f->partial = NULL;
}

static enum status put(struct fixture *f, uint32_t piece)
{
    const size_t at = (size_t)piece * PIECE;
    const size_t n = f->file.len - at < PIECE ? f->file.len - at : PIECE;

    return partial_put(f->partial, piece, f->file.data + at, n, &f->err);
}

static bool has(const struct fixture *f, uint32_t piece)
{
    return piece_map_has(partial_pieces(f->partial), piece);
}

/* One wrong byte in the middle of a piece, behind the map's back. */
static void spoil(const struct fixture *f, uint32_t piece)
{
    const int fd = open(f->path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xa5", 1, (off_t)piece * PIECE + 99), 1);
    close(fd);
}

static void wrong_bytes_are_not_written(void **state)
{
    struct fixture *f = *state;
    char byte;
    int fd;

    open_it(f);
    assert_int_equal(partial_put(f->partial, 2, f->file.data + PIECE, PIECE, &f->err), ST_FORMAT);
    assert_int_equal(partial_put(f->partial, 1, f->file.data + PIECE, PIECE - 1, &f->err),
                     ST_FORMAT);
    assert_int_equal(partial_put(f->partial, f->manifest.n_pieces, f->file.data, PIECE, &f->err),
                     ST_FORMAT);
    assert_false(has(f, 1) || has(f, 2));
    fd = open(f->path, O_RDONLY);
    assert_int_equal(pread(fd, &byte, 1, 2 * PIECE), 1);
    assert_int_equal(byte, 0);
    close(fd);
}

static void pieces_are_there_after_a_crash_and_bad_ones_are_not(void **state)
{
    struct fixture *f = *state;

    open_it(f);
    for (uint32_t i = 0; i < 5; i++)
        assert_ok(put(f, i), f->err);
    close_it(f); /* saved, and not clean */
    spoil(f, 3);
    open_it(f);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(has(f, i), i != 3);
    assert_ok(put(f, 3), f->err);
    assert_ok(partial_finish(f->partial, &f->err), f->err);
    assert_true(partial_pieces(f->partial)->is_clean);
}

static void a_finished_file_is_clean_until_it_is_added_to(void **state)
{
    struct fixture *f = *state;
    struct piece_map map;
    struct stat whole, part, later;

    open_it(f);
    assert_ok(put(f, 0), f->err);
    assert_ok(partial_finish(f->partial, &f->err), f->err);
    close_it(f);
    assert_ok(piece_map_read(f->path, &map, &f->err), f->err);
    assert_true(map.is_clean && piece_map_has(&map, 0));
    piece_map_release(&map);
    assert_int_equal(stat(f->whole, &whole), 0);
    assert_int_equal(stat(f->path, &part), 0);
    assert_int_equal(part.st_size, whole.st_size);

    open_it(f);
    assert_ok(put(f, 1), f->err);
    assert_ok(partial_save(f->partial, &f->err), f->err);
    assert_int_equal(stat(f->path, &later), 0);
    assert_int_equal(part.st_mtime, later.st_mtime);
    assert_ok(piece_map_read(f->path, &map, &f->err), f->err);
    assert_false(map.is_clean);
    piece_map_release(&map);
}

static void a_file_of_other_content_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    uint8_t root;

    open_it(f);
    assert_ok(put(f, 0), f->err);
    assert_ok(partial_finish(f->partial, &f->err), f->err);
    close_it(f);
    root = f->manifest.root[0];
    f->manifest.root[0] ^= 1;
    open_it(f);
    assert_false(has(f, 0));
    f->manifest.root[0] = root;
}

static void one_process_writes_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct partial *second = NULL;

    open_it(f);
    assert_int_equal(partial_open(f->path, &f->manifest, 0, &second, &f->err), ST_DEADLINE);
    assert_non_null(strstr(f->err.words, "another process"));
    close_it(f);
    assert_ok(partial_open(f->path, &f->manifest, 0, &second, &f->err), f->err);
    partial_close(second);
}

static void no_room_is_told_as_such(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, limit;
    enum status s;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 3 * PIECE;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    s = partial_open(f->path, &f->manifest, 0, &f->partial, &f->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(s, ST_FULL);
}

/* The pieces of layers first..first+n and nothing else, in a file of their own. */
static void make_shard(struct fixture *f, uint32_t first, uint32_t n, const struct piece_cut *cut)
{
    struct piece_map wanted;
    struct gguf *gguf;

    assert_ok(gguf_open(f->whole, &gguf, &f->err), f->err);
    assert_ok(manifest_map(&f->manifest, &wanted, &f->err), f->err);
    assert_ok(shard_pieces(gguf, first, n, cut, &wanted, &f->err), f->err);
    open_it(f);
    for (uint32_t i = 0; i < wanted.n_pieces; i++)
        if (piece_map_has(&wanted, i))
            assert_ok(put(f, i), f->err);
    assert_ok(partial_finish(f->partial, &f->err), f->err);
    close_it(f);
    piece_map_release(&wanted);
    gguf_free(gguf);
}

static void check_split(struct fixture *f, uint32_t first, uint32_t n)
{
    const uint32_t n_layer = tiny_llama_default.n_layer;
    struct shard_weights w, whole;
    struct model *model, *all;

    make_shard(f, first, n, NULL);
    assert_ok(model_open(f->path, &model, &f->err), f->err);
    assert_ok(model_open(f->whole, &all, &f->err), f->err);
    assert_memory_equal(model_info(model)->digest, model_info(all)->digest, MODEL_DIGEST_BYTES);
    assert_ok(model_shard(model, first, n, &w, &f->err), f->err);
    assert_ok(model_shard(all, first, n, &whole, &f->err), f->err);
    assert_memory_equal(w.layers[n - 1].down.data, whole.layers[n - 1].down.data, 96);
    if (first + n == n_layer)
        assert_memory_equal(w.output.data, whole.output.data, 96);
    shard_weights_release(&w);
    shard_weights_release(&whole);
    for (uint32_t i = 0; i < n_layer; i++) {
        if (i >= first && i < first + n)
            continue;
        assert_int_equal(model_shard(model, i, 1, &w, &f->err), ST_NOTFOUND);
        assert_non_null(strstr(f->err.words, "is not on this machine"));
        assert_non_null(strstr(f->err.words, "tensor 'blk."));
    }
    model_free(model);
    model_free(all);
    assert_int_equal(unlink(f->path), 0);
}

static void a_shard_opens_with_its_own_pieces_alone(void **state)
{
    struct fixture *f = *state;

    check_split(f, 0, 1);
    check_split(f, 1, 2);
    check_split(f, 3, 1);
}

static void check_portion(struct fixture *f, const struct portion *all, uint32_t member)
{
    const struct tiny_llama *spec = &tiny_llama_default;
    const struct piece_cut cut = { all[member], spec->n_kv_head, spec->n_ff, tiny_llama_n_vocab() };
    const uint32_t first = spec->n_layer - 2;
    struct shard_weights w;
    struct model *model;

    make_shard(f, first, 2, &cut);
    assert_ok(model_open(f->path, &model, &f->err), f->err);
    assert_ok(model_shard_of(model, first, 2, &all[member], &w, &f->err), f->err);
    shard_weights_release(&w);
    for (uint32_t i = 0; i < 3; i++)
        if (i != member)
            assert_int_equal(model_shard_of(model, first, 2, &all[i], &w, &f->err), ST_NOTFOUND);
    model_free(model);
    assert_int_equal(unlink(f->path), 0);
}

/* The last has no heads. */
static void a_portion_opens_with_its_own_pieces_alone(void **state)
{
    const struct tiny_llama *spec = &tiny_llama_default;
    const struct portion_whole whole = { spec->n_head, spec->n_kv_head,
                                         spec->n_hidden / spec->n_head, spec->n_ff,
                                         tiny_llama_n_vocab() };
    static const uint32_t shares[] = { 1, 1, 1 };
    struct fixture *f = *state;
    struct portion all[3];

    assert_ok(portion_cut(&whole, shares, 3, all, &f->err), f->err);
    assert_int_equal(all[2].n_kv_heads, 0);
    for (uint32_t i = 0; i < 3; i++)
        check_portion(f, all, i);
}

static void the_shards_of_a_split_are_the_whole_file(void **state)
{
    struct fixture *f = *state;
    struct piece_map wanted;
    struct gguf *gguf;

    assert_ok(gguf_open(f->whole, &gguf, &f->err), f->err);
    assert_ok(manifest_map(&f->manifest, &wanted, &f->err), f->err);
    assert_ok(shard_pieces(gguf, 0, 2, NULL, &wanted, &f->err), f->err);
    assert_true(piece_map_count(&wanted, NULL) < f->file.len);
    assert_ok(shard_pieces(gguf, 2, 2, NULL, &wanted, &f->err), f->err);
    assert_int_equal(piece_map_count(&wanted, NULL), f->file.len);
    assert_int_equal(shard_pieces(gguf, 3, 2, NULL, &wanted, &f->err), ST_RANGE);
    assert_int_equal(shard_pieces(gguf, UINT32_MAX, 2, NULL, &wanted, &f->err), ST_RANGE);
    assert_int_equal(shard_pieces(gguf, 0, 0, NULL, &wanted, &f->err), ST_RANGE);
    piece_map_release(&wanted);
    gguf_free(gguf);
}

static void a_file_without_its_beginning_is_refused(void **state)
{
    struct fixture *f = *state;
    struct model *model;

    open_it(f);
    assert_ok(put(f, f->manifest.n_pieces - 1), f->err);
    close_it(f);
    assert_int_equal(model_open(f->path, &model, &f->err), ST_NOTFOUND);
    open_it(f);
    assert_ok(put(f, 0), f->err);
    close_it(f);
    if (f->manifest.head_bytes > PIECE)
        assert_int_equal(model_open(f->path, &model, &f->err), ST_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(wrong_bytes_are_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces_are_there_after_a_crash_and_bad_ones_are_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_finished_file_is_clean_until_it_is_added_to, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_other_content_is_begun_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_process_writes_at_a_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_room_is_told_as_such, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_shard_opens_with_its_own_pieces_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_portion_opens_with_its_own_pieces_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_shard_opens_with_its_own_pieces_alone, set_up_untied,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_shards_of_a_split_are_the_whole_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_shards_of_a_split_are_the_whole_file, set_up_untied,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_its_beginning_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("model/partial", tests, NULL, NULL);
}
