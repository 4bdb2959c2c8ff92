/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/test_damaged_gguf.c - 500 damaged models: refused in a sentence, or only weights differ.
 *
 * One half is made from a tiny model, the other from the head of the real one
 * in front of weights that are all zero (a sparse file).  Seeds are fixed: a
 * red run is reproduced by running it again.  Run under the sanitizers to see
 * that none reads outside the file.
 */
#include "support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "fuzz/damage.h"
#include "fuzz/fuzz_model.h"
#include "model/gguf/gguf.h"
#include "model/model.h"
#include "support/allocations.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum {
    N_DAMAGED = 500,
    N_ANYWHERE = 400,
    SEED = 20240117,
    PEAK_ASKED = 1 << 30,     /* what may never be exceeded */
    PEAK_EXPECTED = 32 << 20, /* what no file here comes near */
    HEAD_BYTES_MAX = 16 << 20,
};

struct victim {
    struct good_file good;
    unsigned char *bytes;
    size_t n_bytes;            /* bytes[] holds; a sparse file goes on with zeros */
    char path[PATH_MAX_BYTES]; /* a file with this content, between damages */
    int fd;
};

struct fixture {
    struct folder folder;
    struct victim tiny, real;
};

static void write_at(int fd, const void *bytes, size_t n, size_t at)
{
    assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
}

/* The weights begin where the head ends, rounded up to 32: both files keep to that. */
static void victim_init(struct victim *v, const struct folder *folder, const char *name)
{
    v->good.bytes = v->bytes;
    gguf_map_read(v->bytes, &v->good.map);
    v->good.data_at = size_round_up(v->good.map.head_bytes, 32);
    v->fd = open(folder_path(folder, name, v->path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(v->fd >= 0);
    assert_int_equal(ftruncate(v->fd, (off_t)v->good.size), 0);
    write_at(v->fd, v->bytes, v->n_bytes, 0);
}

static void tiny_init(struct victim *v, const struct folder *folder)
{
    struct tiny_llama spec = tiny_llama_default;
    struct buf file = { 0 };

    spec.is_tied = false;
    tiny_llama_build(&spec, &file);
    v->good.size = v->n_bytes = file.len;
    v->bytes = (unsigned char *)buf_take(&file);
    victim_init(v, folder, "tiny.gguf");
}

static void real_init(struct victim *v, const struct folder *folder)
{
    const char *path = getenv("POMONA_TEST_MODEL");
    struct gguf *g = NULL;
    struct err err;

    if (!path)
        fail_msg("POMONA_TEST_MODEL is not set");
    assert_ok(gguf_open(path, &g, &err), err);
    v->good.size = gguf_file_bytes(g);
    (void)gguf_head(g, &v->n_bytes);
    assert_true(v->n_bytes < HEAD_BYTES_MAX);
    v->bytes = malloc(v->n_bytes);
    assert_non_null(v->bytes);
    memcpy(v->bytes, gguf_head(g, &v->n_bytes), v->n_bytes);
    gguf_free(g);
    victim_init(v, folder, "real.gguf");
}

static void victim_release(struct victim *v)
{
    close(v->fd);
    gguf_map_release(&v->good.map);
    free(v->bytes);
}

static int set_up(void **state)
{
    static struct fixture f;

    folder_make(&f.folder);
    tiny_init(&f.tiny, &f.folder);
    real_init(&f.real, &f.folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    victim_release(&f->tiny);
    victim_release(&f->real);
    folder_remove(&f->folder);
    return 0;
}

static void inflict(const struct victim *v, const struct damage *d)
{
    for (size_t i = 0; i < d->n_patches; i++)
        write_at(v->fd, d->patches[i].bytes, d->patches[i].n, d->patches[i].at);
    assert_int_equal(ftruncate(v->fd, (off_t)d->size), 0);
}

static void heal(const struct victim *v, const struct damage *d)
{
    static const unsigned char zeros[PATCH_BYTES_MAX];

    assert_int_equal(ftruncate(v->fd, (off_t)v->good.size), 0);
    for (size_t i = 0; i < d->n_patches; i++) {
        const struct patch *p = &d->patches[i];
        const bool is_known = p->at + p->n <= v->n_bytes;

        write_at(v->fd, is_known ? v->bytes + p->at : zeros, p->n, p->at);
    }
    if (d->size < v->n_bytes)
        write_at(v->fd, v->bytes + d->size, v->n_bytes - d->size, d->size);
}

/* Every cut of the model in two yields its shards. */
static void assert_yields_shards(const struct model *model)
{
    const uint32_t n_layer = model_info(model)->n_layer;
    struct shard_weights w;
    struct err err;

    for (uint32_t cut = 1; cut < n_layer; cut++) {
        assert_ok(model_shard(model, 0, cut, &w, &err), err);
        shard_weights_release(&w);
        assert_ok(model_shard(model, cut, n_layer - cut, &w, &err), err);
        shard_weights_release(&w);
    }
}

static void assert_one_sentence(const struct err *err, enum status s, const char *way)
{
    const size_t n = strlen(err->words);

    if (n == 0 || n >= ERR_WORDS_MAX - 1 || strpbrk(err->words, "\n\r\t") || err->status != s)
        fail_msg("%s: status %d, words \"%s\"", way, (int)s, err->words);
}

/* Whether the damaged file opened. */
static bool try_damage(const struct victim *v, const struct damage *d)
{
    struct model *model = NULL;
    struct err err = { 0 };
    enum status s;
    size_t peak;
    bool opened;

    inflict(v, d);
    allocations_reset();
    s = model_open(v->path, &model, &err);
    opened = s == ST_OK;
    if (opened)
        assert_yields_shards(model);
    else
        assert_one_sentence(&err, s, d->way);
    peak = allocations_peak_bytes();
    model_free(model);
    heal(v, d);
    if (peak > PEAK_ASKED)
        fail_msg("%s: %zu bytes were asked for", d->way, peak);
    assert_true(peak < PEAK_EXPECTED);
    return opened;
}

static void five_hundred_damaged_models_are_refused_or_only_weigh_differently(void **state)
{
    const struct fixture *f = *state;
    size_t n_refused = 0, n_opened = 0, n_in_weights = 0;
    struct damage d;

    for (size_t i = 0; i < N_DAMAGED; i++) {
        const struct victim *v = i % 2 ? &f->real : &f->tiny;

        damage_draw(&v->good, i / 2 % damage_n_ways(), SEED + i, &d);
        n_in_weights += d.is_in_weights;
        if (!try_damage(v, &d)) {
            if (d.is_in_weights)
                fail_msg("number %zu: other weights were refused", i);
            n_refused++;
        } else {
            if (!d.is_in_weights)
                fail_msg("number %zu (%s) was opened", i, d.way);
            n_opened++;
        }
    }
    print_message("%d damaged models: %zu refused, %zu with other weights opened\n", N_DAMAGED,
                  n_refused, n_opened);
    assert_int_equal(n_refused + n_opened, N_DAMAGED);
    assert_int_equal(n_opened, n_in_weights);
    assert_true(n_opened >= N_DAMAGED / 50);
    assert_true(n_refused > N_DAMAGED / 2);
}

static void every_way_changes_the_file(void **state)
{
    const struct fixture *f = *state;
    struct damage d;

    for (size_t way = 0; way < damage_n_ways(); way++) {
        bool differs;

        damage_draw(&f->tiny.good, way, SEED, &d);
        differs = d.size != f->tiny.good.size;
        for (size_t i = 0; i < d.n_patches; i++)
            differs |=
                memcmp(f->tiny.bytes + d.patches[i].at, d.patches[i].bytes, d.patches[i].n) != 0;
        assert_true(differs);
    }
}

static void the_files_are_good_when_nothing_is_damaged(void **state)
{
    const struct fixture *f = *state;
    const struct victim *const victims[] = { &f->tiny, &f->real };

    for (size_t i = 0; i < ARRAY_LEN(victims); i++) {
        const struct damage none = { .way = "none", .size = victims[i]->good.size };

        assert_true(try_damage(victims[i], &none));
    }
}

/* Flips that nothing in the file contradicts may open; nothing may crash or hang. */
static void bits_flipped_anywhere_never_crash(void **state)
{
    const struct fixture *f = *state;
    const struct victim *v = &f->tiny;
    uint64_t x = SEED;

    for (size_t i = 0; i < N_ANYWHERE; i++) {
        unsigned char *copy = malloc(v->n_bytes);
        const size_t n_flips = 1 + i % 8;

        assert_non_null(copy);
        memcpy(copy, v->bytes, v->n_bytes);
        for (size_t k = 0; k < n_flips; k++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull; /* Knuth, MMIX */
            copy[(x >> 24) % v->good.data_at] ^= (unsigned char)(1u << (x >> 60) % 8);
        }
        allocations_reset();
        assert_int_equal(LLVMFuzzerTestOneInput(copy, v->n_bytes), 0);
        assert_true(allocations_peak_bytes() < PEAK_EXPECTED);
        free(copy);
    }
}

static void a_kilobyte_that_claims_a_trillion_tensors_costs_next_to_nothing(void **state)
{
    unsigned char bytes[1024] = "GGUF\3";
    const uint64_t trillion = 1ull << 40;

    (void)state;
    memcpy(bytes + 8, &trillion, sizeof(trillion));
    allocations_reset();
    assert_int_equal(LLVMFuzzerTestOneInput(bytes, sizeof(bytes)), 0);
    assert_true(allocations_peak_bytes() < 16384);
}

/* Without this the bounds above could hold because nothing is counted. */
static void the_counter_sees_allocations(void **state)
{
    void *volatile held; /* or the compiler leaves the pair out */

    (void)state;
    allocations_reset();
    held = malloc(PEAK_EXPECTED + 1);
    assert_non_null(held);
    free(held);
    assert_true(allocations_peak_bytes() > PEAK_EXPECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_are_good_when_nothing_is_damaged),
        cmocka_unit_test(every_way_changes_the_file),
        cmocka_unit_test(five_hundred_damaged_models_are_refused_or_only_weigh_differently),
        cmocka_unit_test(bits_flipped_anywhere_never_crash),
        cmocka_unit_test(a_kilobyte_that_claims_a_trillion_tensors_costs_next_to_nothing),
        cmocka_unit_test(the_counter_sees_allocations),
    };
    return cmocka_run_group_tests_name("fuzz/damaged_gguf", tests, set_up, tear_down);
}
