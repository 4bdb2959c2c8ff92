/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_panel_set.c - panels of a model are kept, found again, and never believed
 * when they should not be.
 *
 * After every opening, whatever happened to the files, all panels are compared bit for
 * bit with what panel_pack() makes of the matrices.
 */
#include "support/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "engine/cpu/panel_part.h"
#include "engine/cpu/panel_set.h"
#include "engine/cpu/panel_writer.h"
#include "support/allocations.h"
#include "support/folder.h"
#include "support/numbers.h"

enum { N_LAYERS = 3, N_FILES = N_LAYERS + 1, N_WORKERS = 3 };

struct fixture {
    struct folder folder;
    char dir[PATH_MAX_BYTES], other_dir[PATH_MAX_BYTES];
    struct shard_weights weights;
    struct engine_options options;
    struct crew *crew;
    unsigned n_lost;
    struct err lost;
    uint64_t done_bytes, total_bytes;
    int when_stalled; /* descriptor to close when nothing is done between two reports; 0: none */
};

static void on_lost(void *arg, const struct err *why)
{
    struct fixture *f = arg;

    f->n_lost++;
    f->lost = *why;
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct fixture *f = arg;

    if (f->when_stalled > 0 && f->done_bytes == done_bytes) {
        close(f->when_stalled);
        f->when_stalled = 0;
    }
    f->done_bytes = done_bytes;
    f->total_bytes = total_bytes;
}

static int set_up(void **state)
{
    const struct random_model spec = { .dtype = DTYPE_Q4_0,
                                       .n_layer = N_LAYERS,
                                       .n_hidden = 64,
                                       .n_ff = 96,
                                       .n_head = 4,
                                       .n_kv_head = 2,
                                       .head_dim = 16,
                                       .n_rope = 16,
                                       .n_vocab = 20000 }; /* the output has several slices */
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    folder_make(&f->folder);
    folder_path(&f->folder, "panels", f->dir);
    folder_path(&f->folder, "other/panels", f->other_dir);
    random_model_init(&f->weights, &spec);
    f->options.keep = (struct engine_keep){
        .dirs = { f->dir, f->other_dir }, .key = { 1 }, .on_lost = on_lost, .arg = f
    };
    f->options.on_progress = on_progress;
    f->options.progress_arg = f;
    *state = f;
    return crew_new(N_WORKERS, &f->crew, NULL) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    crew_free(f->crew);
    random_model_release(&f->weights);
    folder_remove(&f->folder);
    free(f);
    return 0;
}

/* ---- what must hold ---- */

static bool is_packed_from(const struct panels *panels, const struct matrix *w)
{
    const size_t n = panel_bytes(w->dtype, w->n_cols);
    unsigned char *panel = aligned_alloc(PANEL_ALIGN, n);
    bool is_same = panel && panels->dtype == w->dtype && panels->n_rows == w->n_rows &&
                   panels->n_cols == w->n_cols && (uintptr_t)panels->data % PANEL_ALIGN == 0;

    for (uint32_t i = 0; is_same && i < panel_count(w->n_rows); i++) {
        panel_pack(w, i, panel);
        is_same = memcmp(panel, panels->data + i * n, n) == 0;
    }
    free(panel);
    return is_same;
}

static bool is_right(const struct panel_set *set, const struct shard_weights *weights)
{
    bool is_same = !weights->output.data || is_packed_from(&set->output, &weights->output);

    for (uint32_t i = 0; i < weights->n_layers; i++) {
        const struct layer_weights *l = &weights->layers[i];
        const struct layer_panels *p = &set->layers[i];

        is_same = is_same && is_packed_from(&p->q, &l->q) && is_packed_from(&p->k, &l->k) &&
                  is_packed_from(&p->v, &l->v) && is_packed_from(&p->o, &l->o) &&
                  is_packed_from(&p->gate, &l->gate) && is_packed_from(&p->up, &l->up) &&
                  is_packed_from(&p->down, &l->down);
    }
    return is_same;
}

/* How many parts were packed just now, the others being mapped as they were found. */
static uint32_t open_and_close(struct fixture *f, const struct shard_weights *weights)
{
    struct panel_set set;
    struct err err = { 0 };
    uint32_t n_packed = 0;

    assert_ok(panel_set_init(&set, weights, &f->options, f->crew, &err), err);
    assert_true(is_right(&set, weights));
    for (uint32_t i = 0; i < set.n_parts; i++)
        n_packed += set.parts[i].is_packed;
    assert_true(f->total_bytes > 0);
    assert_int_equal(f->done_bytes, f->total_bytes);
    panel_set_release(&set);
    return n_packed;
}

static uint32_t n_files(const char *path)
{
    DIR *dir = opendir(path);
    uint32_t n = 0;

    if (!dir)
        return 0;
    for (const struct dirent *file; (file = readdir(dir));)
        n += strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static const char *path_of(const struct fixture *f, const char *name, char *ret_path)
{
    assert_int_equal(path_join(f->dir, name, ret_path, NULL), ST_OK);
    return ret_path;
}

static void flip_bit(const char *path, off_t at)
{
    const int fd = open(path, O_RDWR);
    unsigned char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* ---- tests ---- */

static void what_was_packed_once_is_mapped_afterwards(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(n_files(f->dir), N_FILES);
    assert_int_equal(open_and_close(f, &f->weights), 0);
    assert_int_equal(n_files(f->other_dir), 0);
    assert_int_equal(f->n_lost, 0);
}

static void shards_share_the_files_of_their_model(void **state)
{
    struct fixture *f = *state;
    const struct shard_weights front = shard_of(&f->weights, 0, 2);
    const struct shard_weights back = shard_of(&f->weights, 2, N_LAYERS - 2);

    assert_int_equal(open_and_close(f, &back), 2);
    assert_int_equal(open_and_close(f, &front), 2);
    assert_int_equal(open_and_close(f, &f->weights), 0);
    assert_int_equal(n_files(f->dir), N_FILES);
}

static void a_damaged_file_is_made_again(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES];
    struct stat st;

    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    path_of(f, "layer-001", path);
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = 0; at < 300; at += 13) { /* head and table */
        flip_bit(path, at);
        assert_int_equal(open_and_close(f, &f->weights), 1);
    }
    flip_bit(path, st.st_size - 1); /* panels */
    assert_int_equal(open_and_close(f, &f->weights), 1);
    assert_int_equal(truncate(path, st.st_size - 1), 0);
    assert_int_equal(open_and_close(f, &f->weights), 1);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_and_close(f, &f->weights), 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_and_close(f, &f->weights), 1);
    assert_int_equal(open_and_close(f, &f->weights), 0);
    assert_int_equal(f->n_lost, 0);
}

static void other_numbers_under_an_equal_head_are_another_model(void **state)
{
    struct fixture *f = *state;
    unsigned char *bytes = (unsigned char *)(uintptr_t)f->weights.layers[1].down.data;

    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    bytes[5] ^= 1;
    assert_int_equal(open_and_close(f, &f->weights), 1);
    f->options.keep.key[7] ^= 1; /* the file was written anew */
    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(open_and_close(f, &f->weights), 0);
}

static void what_a_larger_model_left_is_removed(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX_BYTES];

    assert_int_equal(mkdir(f->dir, 0700), 0);
    for (int i = N_LAYERS; i < N_LAYERS + 2; i++) {
        char name[32];

        snprintf(name, sizeof(name), "layer-%03d", i);
        close(open(path_of(f, name, path), O_CREAT | O_WRONLY, 0600));
    }
    assert_int_equal(n_files(f->dir), 2);
    (void)open_and_close(f, &f->weights);
    assert_int_equal(n_files(f->dir), N_FILES);
}

/* A file where a folder should be stops root, too, which permissions do not. */
static void block(const char *path)
{
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(access(path, F_OK), 0);
}

static void a_folder_that_cannot_be_made_has_a_substitute(void **state)
{
    struct fixture *f = *state;

    block(f->dir);
    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(n_files(f->other_dir), N_FILES);
    assert_int_equal(open_and_close(f, &f->weights), 0);
    assert_int_equal(f->n_lost, 0);
}

static void without_any_folder_panels_are_in_memory(void **state)
{
    struct fixture *f = *state;
    char other[PATH_MAX_BYTES];

    block(f->dir);
    block(folder_path(&f->folder, "other", other));
    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(f->n_lost, 1);
    assert_non_null(strstr(f->lost.words, "other"));
    f->options.keep.dirs[0] = NULL; /* nobody asks for any */
    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(f->n_lost, 1);
}

/* A limit on the size of files stands for a full disk. */
static void without_room_on_the_disk_panels_are_in_memory(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(f->n_lost, 1);
    assert_int_equal(f->lost.status, ST_FULL);
    assert_int_equal(n_files(f->dir) + n_files(f->other_dir), 0);
}

/* Ends the process: 0 where the panels are right. */
static void build_in_child(const struct fixture *f, int start)
{
    struct panel_set set;
    struct crew *crew;
    char byte;

    if (read(start, &byte, 1) != 0) /* until the parent closes its end */
        _exit(2);
    if (crew_new(N_WORKERS, &crew, NULL) != ST_OK ||
        panel_set_init(&set, &f->weights, &f->options, crew, NULL) != ST_OK)
        _exit(3);
    if (!is_right(&set, &f->weights) || set.memory || f->n_lost > 0)
        _exit(4);
    _exit(0);
}

static void processes_that_build_at_once_share_the_files(void **state)
{
    enum { N_PROCESSES = 4 };
    struct fixture *f = *state;
    pid_t children[N_PROCESSES];
    int start[2], status;

    crew_free(f->crew); /* children have threads of their own */
    f->crew = NULL;
    assert_int_equal(pipe(start), 0);
    for (int i = 0; i < N_PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            close(start[1]);
            build_in_child(f, start[0]);
        }
    }
    close(start[0]);
    close(start[1]);
    for (int i = 0; i < N_PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(n_files(f->dir), N_FILES);
    assert_ok(crew_new(N_WORKERS, &f->crew, NULL), f->lost);
    assert_int_equal(open_and_close(f, &f->weights), 0);
}

/* Begins to write the output, says so, and crashes when told to. */
static void write_in_child(const struct fixture *f, int ready, int end)
{
    const struct matrix *output = &f->weights.output;
    struct panel_writer *writer = NULL;
    struct panel_plan plan;
    char byte = 1;

    panel_plan_init(&plan, &output, 1);
    if (panel_writer_new(f->dir, "output", &plan, &writer, NULL) != ST_OK ||
        write(ready, &byte, 1) != 1 || read(end, &byte, 1) != 0)
        _exit(1);
    _exit(0);
}

static void what_another_process_writes_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct err err = { 0 };
    int status, ready[2], end[2];
    pid_t child;
    char byte;

    crew_free(f->crew); /* a child has no threads */
    f->crew = NULL;
    assert_int_equal(mkdir(f->dir, 0700), 0);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(end), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(end[1]);
        write_in_child(f, ready[1], end[0]);
    }
    close(ready[1]);
    close(end[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    assert_ok(crew_new(N_WORKERS, &f->crew, &err), err);
    f->when_stalled = end[1];
    assert_int_equal(open_and_close(f, &f->weights), N_FILES);
    assert_int_equal(f->when_stalled, 0); /* there was a wait */
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(n_files(f->dir), N_FILES);
}

static void running_out_of_memory_is_an_error_or_costs_the_files(void **state)
{
    struct fixture *f = *state;
    struct panel_set set;
    bool has_failed = true;

    for (size_t k = 1; has_failed; k++) {
        enum status s;

        allocations_fail_at(k);
        s = panel_set_init(&set, &f->weights, &f->options, f->crew, NULL);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (s == ST_OK) {
            assert_true(is_right(&set, &f->weights));
            panel_set_release(&set);
        } else {
            assert_int_equal(s, ST_NOMEM);
        }
        if (k % 2 == 0) /* with and without files of the time before */
            for (uint32_t i = 0; i < N_LAYERS; i++) {
                char name[32], path[PATH_MAX_BYTES];

                snprintf(name, sizeof(name), "layer-%03u", i);
                (void)unlink(path_of(f, name, path));
            }
    }
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(what_was_packed_once_is_mapped_afterwards),
        WITH_FIXTURE(shards_share_the_files_of_their_model),
        WITH_FIXTURE(a_damaged_file_is_made_again),
        WITH_FIXTURE(other_numbers_under_an_equal_head_are_another_model),
        WITH_FIXTURE(what_a_larger_model_left_is_removed),
        WITH_FIXTURE(a_folder_that_cannot_be_made_has_a_substitute),
        WITH_FIXTURE(without_any_folder_panels_are_in_memory),
        WITH_FIXTURE(without_room_on_the_disk_panels_are_in_memory),
        WITH_FIXTURE(processes_that_build_at_once_share_the_files),
        WITH_FIXTURE(what_another_process_writes_is_waited_for),
        WITH_FIXTURE(running_out_of_memory_is_an_error_or_costs_the_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
