/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/test_panel_memory.c - packing a mapped model never has its weights in memory twice.
 *
 * A child packs 64 MiB of mapped weights and tells its largest resident size, with panels in
 * files and in memory.  Twice the weights would be 128 MiB.
 */
#include "support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/size.h"
#include "engine/cpu/panel_set.h"
#include "support/folder.h"

enum {
    N_LAYERS = 8,
    N_COLS = 2048,
    N_ROWS = 1024,
    N_MATRICES = 7 * N_LAYERS,
    MATRIX_BYTES = N_ROWS * N_COLS / 32 * 18,
    WEIGHT_BYTES = N_MATRICES * MATRIX_BYTES,
    SPARE_BYTES = 24 << 20, /* programs, threads, a slice for each; large pages round up */
};

struct fixture {
    struct folder folder;
    char model[PATH_MAX_BYTES], dir[PATH_MAX_BYTES];
};

static int set_up(void **state)
{
    static struct fixture f;
    unsigned char *matrix = malloc(MATRIX_BYTES);
    int fd;

    assert_non_null(matrix);
    folder_make(&f.folder);
    folder_path(&f.folder, "panels", f.dir);
    fd = open(folder_path(&f.folder, "model", f.model), O_CREAT | O_WRONLY, 0600);
    for (int i = 0; i < N_MATRICES; i++) {
        memset(matrix, i + 1, MATRIX_BYTES);
        assert_int_equal(write(fd, matrix, MATRIX_BYTES), MATRIX_BYTES);
    }
    assert_int_equal(close(fd), 0);
    free(matrix);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    folder_remove(&f->folder);
    return 0;
}

static bool map_weights(const char *path, struct shard_weights *ret)
{
    const int fd = open(path, O_RDONLY);
    const unsigned char *at = mmap(NULL, WEIGHT_BYTES, PROT_READ, MAP_PRIVATE, fd, 0);

    close(fd);
    if (at == MAP_FAILED)
        return false;
    *ret = (struct shard_weights){ .n_layers = N_LAYERS, .is_file_mapped = true };
    ret->shape.n_layer = N_LAYERS;
    ret->layers = calloc(N_LAYERS, sizeof(*ret->layers));
    for (int i = 0; ret->layers && i < N_LAYERS; i++) {
        struct layer_weights *l = &ret->layers[i];
        struct matrix *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };

        for (size_t m = 0; m < ARRAY_LEN(all); m++, at += MATRIX_BYTES)
            *all[m] = (struct matrix){ DTYPE_Q4_0, N_ROWS, N_COLS, at, 0 };
    }
    return ret->layers != NULL;
}

static uint64_t peak_bytes(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
    return (uint64_t)usage.ru_maxrss;
#else
    return (uint64_t)usage.ru_maxrss * 1024;
#endif
}

/* Ends the process; sends how much its peak grew. */
static void pack_in_child(const struct fixture *f, const char *dir, int to)
{
    const struct engine_options options = { .keep = { .dirs = { dir } } };
    struct shard_weights weights;
    struct panel_set set;
    struct crew *crew;
    uint64_t grown = peak_bytes();

    if (!map_weights(f->model, &weights) || crew_new(2, &crew, NULL) != ST_OK ||
        panel_set_init(&set, &weights, &options, crew, NULL) != ST_OK)
        _exit(1);
    if ((set.memory != NULL) != (dir == NULL))
        _exit(2);
    grown = peak_bytes() - grown;
    _exit(write(to, &grown, sizeof(grown)) == sizeof(grown) ? 0 : 3);
}

static uint64_t growth_of_packing(const struct fixture *f, const char *dir)
{
    uint64_t grown = 0;
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        pack_in_child(f, dir, ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(read(ends[0], &grown, sizeof(grown)), sizeof(grown));
    close(ends[0]);
    close(ends[1]);
    return grown;
}

/* What sanitizers keep beside all memory would count, too. */
static void assert_is_about_once(uint64_t grown)
{
#if defined(POMONA_IS_SANITIZED)
    print_message("built with sanitizers: %llu bytes are not judged\n", (unsigned long long)grown);
#else
    assert_true(grown < WEIGHT_BYTES + SPARE_BYTES);
#endif
}

static void panels_in_files_take_the_memory_of_the_weights(void **state)
{
    const struct fixture *f = *state;
    const uint64_t packing = growth_of_packing(f, f->dir), mapping = growth_of_packing(f, f->dir);

    print_message("of %d MiB: packed %llu MiB, mapped %llu MiB\n", WEIGHT_BYTES >> 20,
                  (unsigned long long)packing >> 20, (unsigned long long)mapping >> 20);
    assert_is_about_once(packing);
    assert_is_about_once(mapping);
}

static void panels_in_memory_take_the_memory_of_the_weights(void **state)
{
    const struct fixture *f = *state;
    const uint64_t packing = growth_of_packing(f, NULL);

    print_message("of %d MiB: packed %llu MiB\n", WEIGHT_BYTES >> 20,
                  (unsigned long long)packing >> 20);
    assert_true(packing >= WEIGHT_BYTES / 2);
    assert_is_about_once(packing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(panels_in_files_take_the_memory_of_the_weights, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(panels_in_memory_take_the_memory_of_the_weights, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
