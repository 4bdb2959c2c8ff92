/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_panel_file.c - files of panels: what is written, and what is believed. */
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/size.h"
#include "engine/cpu/panel_writer.h"
#include "support/folder.h"
#include "support/numbers.h"

enum { N_MATRICES = 3, ROLE = 7, FILE_BYTES_MAX = 16 << 20 };

struct fixture {
    struct folder folder;
    struct matrix w[N_MATRICES];
    const struct matrix *matrices[N_MATRICES];
    struct panel_plan plan;
    uint8_t model[PANEL_KEY_BYTES], key[PANEL_KEY_BYTES];
    char path[PATH_MAX_BYTES]; /* of "it" */
};

static int set_up(void **state)
{
    static struct fixture f;
    uint32_t seed = 20240707;

    f = (struct fixture){ .model = { 1, 2, 3 } };
    folder_make(&f.folder);
    f.w[0] = random_matrix(DTYPE_Q4_0, 40, 64, &seed);
    f.w[1] = random_matrix(DTYPE_F32, 3000, 96, &seed); /* several slices */
    f.w[2] = random_matrix(DTYPE_Q8_0, 16, 32, &seed);
    for (size_t i = 0; i < N_MATRICES; i++)
        f.matrices[i] = &f.w[i];
    panel_plan_init(&f.plan, f.matrices, N_MATRICES);
    panel_key(f.model, ROLE, f.matrices, N_MATRICES, f.key);
    folder_path(&f.folder, "it", f.path);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N_MATRICES; i++)
        matrix_release(&f->w[i]);
    folder_remove(&f->folder);
    return 0;
}

static void pack(const struct fixture *f, uint32_t number, unsigned char *to)
{
    const struct panel_slice s = panel_plan_slice(&f->plan, number);

    for (uint32_t i = 0; i < s.n_panels; i++)
        panel_pack(&f->w[s.tensor], s.first_panel + i,
                   to + i * f->plan.tensors[s.tensor].panel_bytes);
}

static enum status put_all(const struct fixture *f, struct panel_writer *writer, struct err *err)
{
    unsigned char *room = malloc(panel_plan_slice_bytes(&f->plan));
    enum status s = ST_OK;

    assert_non_null(room);
    for (uint32_t i = 0; i < f->plan.n_slices && s == ST_OK; i++) {
        pack(f, i, room);
        s = panel_writer_put(writer, i, room, err);
    }
    free(room);
    return s;
}

static void write_it(const struct fixture *f)
{
    struct panel_writer *writer = NULL;
    struct err err = { 0 };

    assert_ok(panel_writer_new(f->folder.path, "it", &f->plan, &writer, &err), err);
    assert_ok(put_all(f, writer, &err), err);
    assert_ok(panel_writer_commit(writer, f->key, &err), err);
}

static enum status open_it(const struct fixture *f)
{
    struct panel_file file = { 0 };
    const enum status s = panel_file_open(f->path, &f->plan, f->key, &file, NULL);

    if (s == ST_OK)
        assert_int_equal(file.n_bytes, f->plan.n_bytes);
    else
        assert_null(file.base);
    panel_file_close(&file);
    return s;
}

static void flip_bit(const char *path, off_t at, unsigned bit)
{
    const int fd = open(path, O_RDWR);
    unsigned char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (unsigned char)(byte ^ 1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void what_was_written_is_mapped(void **state)
{
    const struct fixture *f = *state;
    struct panel_file file = { 0 };
    struct err err = { 0 };
    unsigned char *room = malloc(panel_plan_slice_bytes(&f->plan));

    assert_non_null(room);
    assert_true(f->plan.n_slices > N_MATRICES);
    write_it(f);
    assert_ok(panel_file_open(f->path, &f->plan, f->key, &file, &err), err);
    for (uint32_t i = 0; i < f->plan.n_slices; i++) {
        const struct panel_slice s = panel_plan_slice(&f->plan, i);

        pack(f, i, room);
        assert_memory_equal(file.base + s.at, room, s.n_bytes);
        assert_int_equal((uintptr_t)(file.base + s.at) % PANEL_ALIGN, 0);
        assert_true(panel_file_check_slice(&file, &f->plan, i));
    }
    panel_file_close(&file);
    free(room);
}

static void slices_cover_every_panel_once(void **state)
{
    const struct fixture *f = *state;
    uint64_t end = panel_head_bytes(&f->plan);

    for (uint32_t i = 0; i < f->plan.n_slices; i++) {
        const struct panel_slice s = panel_plan_slice(&f->plan, i);

        assert_true(s.at >= end && s.at - end < PANEL_FILE_ALIGN);
        assert_true(s.n_panels > 0 && s.n_bytes <= panel_plan_slice_bytes(&f->plan));
        end = s.at + s.n_bytes;
    }
    assert_int_equal(end, f->plan.n_bytes);
}

static void every_bit_of_head_table_and_sums_counts(void **state)
{
    const struct fixture *f = *state;

    write_it(f);
    for (size_t at = 0; at < panel_head_bytes(&f->plan); at++) {
        flip_bit(f->path, (off_t)at, at % 8);
        assert_int_equal(open_it(f), ST_FORMAT);
        flip_bit(f->path, (off_t)at, at % 8);
    }
    assert_int_equal(open_it(f), ST_OK);
}

static void another_length_is_refused(void **state)
{
    const struct fixture *f = *state;
    const off_t whole = (off_t)f->plan.n_bytes;
    const off_t lengths[] = { whole + 1, whole - 1, whole / 2, PANEL_FILE_ALIGN, 100, 1, 0 };

    write_it(f);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        assert_int_equal(truncate(f->path, lengths[i]), 0);
        assert_int_equal(open_it(f), ST_FORMAT);
    }
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(open_it(f), ST_NOTFOUND);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_not_equal(open_it(f), ST_OK);
}

static void a_damaged_panel_is_found_by_its_sum(void **state)
{
    const struct fixture *f = *state;
    struct panel_file file = { 0 };
    struct err err = { 0 };

    write_it(f);
    for (uint32_t i = 0; i < f->plan.n_slices; i++) {
        const struct panel_slice s = panel_plan_slice(&f->plan, i);

        flip_bit(f->path, (off_t)(s.at + s.n_bytes / 3), 5);
        assert_ok(panel_file_open(f->path, &f->plan, f->key, &file, &err), err);
        for (uint32_t j = 0; j < f->plan.n_slices; j++)
            assert_int_equal(panel_file_check_slice(&file, &f->plan, j), j != i);
        panel_file_close(&file);
        flip_bit(f->path, (off_t)(s.at + s.n_bytes / 3), 5);
    }
}

static void the_key_follows_model_role_and_numbers(void **state)
{
    struct fixture *f = *state;
    uint8_t other_model[PANEL_KEY_BYTES] = { 1, 2, 4 }, key[PANEL_KEY_BYTES];

    panel_key(f->model, ROLE, f->matrices, N_MATRICES, key);
    assert_memory_equal(key, f->key, sizeof(key));
    panel_key(other_model, ROLE, f->matrices, N_MATRICES, key);
    assert_memory_not_equal(key, f->key, sizeof(key));
    panel_key(f->model, ROLE + 1, f->matrices, N_MATRICES, key);
    assert_memory_not_equal(key, f->key, sizeof(key));
    for (size_t i = 0; i < N_MATRICES; i++) {
        const struct matrix *w = &f->w[i];
        unsigned char *bytes = (unsigned char *)(uintptr_t)w->data;
        const size_t n = w->n_rows * dtype_row_bytes(w->dtype, w->n_cols);
        const size_t ats[] = { 0, n / 2, n - 1 };

        for (size_t j = 0; j < ARRAY_LEN(ats); j++) {
            bytes[ats[j]] ^= 1;
            panel_key(f->model, ROLE, f->matrices, N_MATRICES, key);
            assert_memory_not_equal(key, f->key, sizeof(key));
            bytes[ats[j]] ^= 1;
        }
    }
}

static void a_file_of_another_key_is_refused(void **state)
{
    struct fixture *f = *state;

    write_it(f);
    f->key[3] ^= 1;
    assert_int_equal(open_it(f), ST_FORMAT);
}

static void a_file_of_another_user_is_refused(void **state)
{
    const struct fixture *f = *state;

    write_it(f);
    if (chown(f->path, geteuid() + 1, (gid_t)-1) == 0)
        assert_int_equal(open_it(f), ST_FORMAT);
    else /* only root gives files away; another user's are never made here */
        assert_int_equal(errno, EPERM);
}

static void one_writes_at_a_time(void **state)
{
    const struct fixture *f = *state;
    struct panel_writer *first = NULL, *second = NULL;
    struct err err = { 0 };

    assert_ok(panel_writer_new(f->folder.path, "it", &f->plan, &first, &err), err);
    assert_int_equal(panel_writer_new(f->folder.path, "it", &f->plan, &second, &err), ST_PEER);
    panel_writer_abandon(first);
    assert_ok(panel_writer_new(f->folder.path, "it", &f->plan, &second, &err), err);
    panel_writer_abandon(second);
    assert_int_equal(rmdir(f->folder.path), 0); /* nothing is left */
    assert_int_equal(mkdir(f->folder.path, 0700), 0);
}

static void what_a_crash_left_is_taken_over(void **state)
{
    const struct fixture *f = *state;
    char part[PATH_MAX_BYTES];
    struct buf junk = { 0 };

    buf_puts(&junk, "half of something");
    folder_put(&f->folder, ".it.part", &junk, part);
    buf_release(&junk);
    write_it(f);
    assert_int_equal(open_it(f), ST_OK);
    assert_int_not_equal(access(part, F_OK), 0);
}

static void limit_files(rlim_t bytes, struct rlimit *ret_before)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, ret_before), 0);
    limit = *ret_before;
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A limit on file sizes stands for the end of the disk: both end a write in its middle. */
static void a_disk_that_fills_up_is_an_error(void **state)
{
    const struct fixture *f = *state;
    struct panel_writer *writer = NULL;
    struct rlimit before;
    struct err err = { 0 };
    enum status s;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_ok(panel_writer_new(f->folder.path, "it", &f->plan, &writer, &err), err);
    limit_files(f->plan.n_bytes / 2, &before);
    s = put_all(f, writer, &err);
    if (s == ST_OK) /* what is small is written at the end */
        s = panel_writer_commit(writer, f->key, &err);
    else
        panel_writer_abandon(writer);
    assert_int_equal(s, ST_FULL);
    assert_int_equal(panel_folder_make(f->folder.path, f->plan.n_bytes, f->plan.n_bytes, &err),
                     ST_FULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(open_it(f), ST_NOTFOUND);
    assert_int_equal(panel_folder_make(f->folder.path, UINT64_MAX / 2, 1, &err), ST_FULL);
    assert_ok(panel_folder_make(f->folder.path, f->plan.n_bytes, f->plan.n_bytes, &err), err);
    assert_int_equal(rmdir(f->folder.path), 0); /* nothing is left */
    assert_int_equal(mkdir(f->folder.path, 0700), 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_was_written_is_mapped),
        WITH_FIXTURE(slices_cover_every_panel_once),
        WITH_FIXTURE(every_bit_of_head_table_and_sums_counts),
        WITH_FIXTURE(another_length_is_refused),
        WITH_FIXTURE(a_damaged_panel_is_found_by_its_sum),
        WITH_FIXTURE(the_key_follows_model_role_and_numbers),
        WITH_FIXTURE(a_file_of_another_key_is_refused),
        WITH_FIXTURE(a_file_of_another_user_is_refused),
        WITH_FIXTURE(one_writes_at_a_time),
        WITH_FIXTURE(what_a_crash_left_is_taken_over),
        WITH_FIXTURE(a_disk_that_fills_up_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
