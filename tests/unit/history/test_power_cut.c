/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/history/test_power_cut.c - what a power cut or a bad disk leaves is opened, or set aside.
 *
 * A cut is made by copying file and log as they are while a writer has them open, the log cut short or
 * its end overwritten: what a disk may have of it.
 */
#include "support/check.h"

#include <sys/stat.h>

#include "folder.h"
#include "history/history.h"

static const int64_t T0 = 1700000040;
enum { BATCHES = 20, BATCH = 10 };

static void write_batches(struct history *h)
{
    struct err err;
    int64_t id;

    for (int b = 0; b < BATCHES; b++) {
        assert_ok(history_begin(h, &err), err);
        assert_ok(history_series(h, "node/a", "cpu", &id, &err), err);
        for (int i = 0; i < BATCH; i++)
            assert_ok(history_add(h, id, T0 + b * BATCH + i, b, &err), err);
        assert_ok(history_commit(h, &err), err);
    }
}

static long copy(const char *from, const char *to, long n_max)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    long n = 0;
    int c;

    assert_true(in && out);
    while (n < n_max && (c = fgetc(in)) != EOF) {
        fputc(c, out);
        n++;
    }
    fclose(in);
    fclose(out);
    return n;
}

static void overwrite(const char *path, long at, const char *with, size_t n)
{
    FILE *f = fopen(path, "r+b");

    assert_non_null(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fwrite(with, 1, n, f), n);
    fclose(f);
}

/* Whole batches are there, and none after one that is missing. */
static uint64_t assert_opens_with_whole_batches(const char *path)
{
    char aside[PATH_MAX_BYTES];
    struct history_point total = { 0 };
    struct history *h;
    struct err err;
    enum status s;

    assert_ok(history_open(path, HISTORY_WRITES, &h, aside, &err), err);
    assert_string_equal(aside, "");
    s = history_total(h, "node/a", "cpu", T0, T0 + 3600, &total, &err);
    assert_true(s == ST_OK || s == ST_NOTFOUND);
    assert_int_equal(total.n % BATCH, 0);
    if (total.n > 0)
        assert_int_equal(total.max, total.n / BATCH - 1);
    assert_ok(history_roll(h, T0 + 3600, &err), err);
    history_close(h);
    return total.n;
}

static void a_log_cut_anywhere_leaves_whole_batches(void **state)
{
    struct folder *f = *state;
    char there[128], log[160], log_there[160];
    struct history *h;
    struct err err;
    uint64_t last = 0;
    struct stat st;

    snprintf(there, sizeof(there), "%s/cut.db", f->dir);
    snprintf(log, sizeof(log), "%s-wal", f->path);
    snprintf(log_there, sizeof(log_there), "%s-wal", there);
    assert_ok(history_open(f->path, HISTORY_WRITES, &h, NULL, &err), err);
    write_batches(h);
    assert_int_equal(stat(log, &st), 0);
    for (long n = 0; n <= st.st_size; n += st.st_size / 40 + 13) {
        uint64_t n_samples;

        (void)copy(f->path, there, 1L << 30);
        (void)copy(log, log_there, n);
        if (n > 64)
            overwrite(log_there, n - 32, "\x5a\x5a\x5a\x5a\x5a\x5a\x5a\x5a", 8);
        n_samples = assert_opens_with_whole_batches(there);
        assert_true(n_samples >= last);
        last = n_samples;
        (void)folder_files(f, "cut.db", 1);
    }
    (void)copy(f->path, there, 1L << 30);
    (void)copy(log, log_there, 1L << 30);
    assert_int_equal(assert_opens_with_whole_batches(there), BATCHES * BATCH);
    history_close(h);
}

static void assert_set_aside(struct folder *f)
{
    char aside[PATH_MAX_BYTES];
    struct history *h;
    struct err err;

    assert_ok(history_open(f->path, HISTORY_WRITES, &h, aside, &err), err);
    assert_non_null(strstr(aside, "health.db.corrupt-"));
    assert_int_equal(access(aside, F_OK), 0);
    write_batches(h); /* the new one works */
    history_close(h);
    assert_int_equal(assert_opens_with_whole_batches(f->path), BATCHES * BATCH);
}

static void another_kind_of_file_is_set_aside(void **state)
{
    struct folder *f = *state;
    FILE *file = fopen(f->path, "wb");

    assert_non_null(file);
    for (int i = 0; i < 5000; i++)
        fputs("no history\n", file);
    fclose(file);
    assert_set_aside(f);
}

static void a_damaged_file_is_set_aside(void **state)
{
    struct folder *f = *state;
    char zeros[3000] = { 0 };
    struct history *h;
    struct err err;

    assert_ok(history_open(f->path, HISTORY_WRITES, &h, NULL, &err), err);
    write_batches(h);
    history_close(h); /* the log is in the file */
    memset(zeros, 0x7f, sizeof(zeros));
    overwrite(f->path, 4096, zeros, sizeof(zeros));
    assert_int_equal(history_open(f->path, HISTORY_READS, &h, NULL, &err) == ST_OK
                         ? (history_close(h), ST_FORMAT)
                         : err.status,
                     ST_FORMAT);
    assert_int_equal(folder_files(f, "health.db.corrupt", 0), 0); /* who reads moves nothing */
    assert_set_aside(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_cut_anywhere_leaves_whole_batches, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(another_kind_of_file_is_set_aside, folder_make,
                                        folder_remove),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_set_aside, folder_make, folder_remove),
    };
    return cmocka_run_group_tests_name("history/power_cut", tests, NULL, NULL);
}
