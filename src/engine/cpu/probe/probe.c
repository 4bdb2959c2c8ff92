/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/probe.c - time the loops of this machine on all threads.
 *
 * Each worker touches its part of the array first, so that the memory is near
 * the core that reads it, as it is for weights.
 */
#include "engine/cpu/probe/probe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/size.h"
#include "engine/cpu/crew.h"
#include "engine/cpu/probe/loops.h"

enum {
    CACHES = 4, /* McCalpin's rule: the array is at least four times the last cache */
    N_READ_PASSES = 5,
    N_MULTIPLY_PASSES = 4,
    ALIGN = 64,
};

#define ARRAY_MIN_BYTES ((size_t)256 << 20)
#define ARRAY_MAX_BYTES ((size_t)1 << 30)
#define MEMORY_SHARE    8 /* of the machine's memory, at most one part in so many */
#define PASS_NS         (5 * NS_PER_MS)

/* Narrow to wide; a later row overwrites what it has better. */
static const struct {
    uint32_t needs;
    const struct probe_loops *loops;
} loops[] = {
    { 0, &probe_plain },
#if defined(__x86_64__)
    { CPU_AVX2, &probe_avx2 },
    { CPU_AVX2 | CPU_AVX_VNNI, &probe_avx_vnni },
    { CPU_AVX512 | CPU_AVX512_VNNI, &probe_avx512_vnni },
    { CPU_AVX512 | CPU_AMX_INT8, &probe_amx },
#elif defined(__aarch64__)
    { CPU_NEON | CPU_NEON_DOTPROD, &probe_neon_dotprod },
#endif
};

struct probe {
    struct crew *crew;
    struct probe_loops best;
    unsigned char *array;
    size_t part_bytes; /* of each worker */
    size_t n_rounds;   /* of a multiply pass; 0: not yet found */
    uint64_t sum;      /* where results go, so that they are computed */
};

static void choose_loops(struct probe *probe)
{
    const uint32_t features = machine_cpu_features();

    for (size_t i = 0; i < ARRAY_LEN(loops); i++) {
        const struct probe_loops *row = loops[i].loops;

        if ((loops[i].needs & ~features) != 0)
            continue;
        if (row->read)
            probe->best.read = row->read;
        probe->best.name = row->name;
        probe->best.multiply = row->multiply;
        probe->best.ops_per_round = row->ops_per_round;
    }
}

static size_t array_bytes(void)
{
    const size_t wanted = size_max(ARRAY_MIN_BYTES, CACHES * machine_cache_bytes());
    const uint64_t bound = machine_memory_bytes() / MEMORY_SHARE;

    return size_min(size_min(wanted, ARRAY_MAX_BYTES), (size_t)bound);
}

static unsigned char *part_of(const struct probe *probe, unsigned worker)
{
    return probe->array + worker * probe->part_bytes;
}

static void touch(void *arg, unsigned worker)
{
    const struct probe *probe = arg;

    memset(part_of(probe, worker), (int)worker + 1, probe->part_bytes);
}

static void read_part(void *arg, unsigned worker)
{
    struct probe *probe = arg;

    __atomic_fetch_add(&probe->sum, probe->best.read(part_of(probe, worker), probe->part_bytes),
                       __ATOMIC_RELAXED);
}

static void multiply(void *arg, unsigned worker)
{
    struct probe *probe = arg;

    (void)worker;
    __atomic_fetch_add(&probe->sum, probe->best.multiply(probe->n_rounds), __ATOMIC_RELAXED);
}

static uint64_t time_of(struct probe *probe, crew_fn fn)
{
    const uint64_t start_ns = clock_ns();
    uint64_t ns;

    crew_run(probe->crew, fn, probe);
    ns = clock_ns() - start_ns;
    return ns > 0 ? ns : 1;
}

static uint64_t best_of(struct probe *probe, crew_fn fn, unsigned n_passes)
{
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < n_passes; i++) {
        const uint64_t ns = time_of(probe, fn);

        best = ns < best ? ns : best;
    }
    return best;
}

/* As many rounds as make a pass long enough to time. */
static void find_rounds(struct probe *probe)
{
    probe->n_rounds = 1;
    while (time_of(probe, multiply) < PASS_NS)
        probe->n_rounds *= 2;
}

enum status probe_new(unsigned n_threads, struct probe **ret_probe, struct err *err)
{
    struct probe *probe = calloc(1, sizeof(*probe));
    enum status s = ST_OK;

    if (!probe)
        return err_set(err, ST_NOMEM, "measure the machine: out of memory");
    s = crew_new(n_threads, &probe->crew, err);
    if (s != ST_OK)
        goto out;
    choose_loops(probe);
    probe->part_bytes =
        array_bytes() / crew_size(probe->crew) / PROBE_READ_BYTES * PROBE_READ_BYTES;
    probe->array = aligned_alloc(ALIGN, probe->part_bytes * crew_size(probe->crew));
    if (!probe->array) {
        s = err_set(err, ST_NOMEM, "measure the machine: no memory for an array of %zu bytes",
                    array_bytes());
        goto out;
    }
    crew_run(probe->crew, touch, probe);
    *ret_probe = probe;
    probe = NULL;
out:
    probe_free(probe);
    return s;
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    crew_free(probe->crew);
    free(probe->array);
    free(probe);
}

void probe_measure(struct probe *probe, struct probe_figures *ret_figures)
{
    const double n = (double)crew_size(probe->crew);
    uint64_t read_ns, multiply_ns;

    if (probe->n_rounds == 0)
        find_rounds(probe);
    read_ns = best_of(probe, read_part, N_READ_PASSES);
    multiply_ns = best_of(probe, multiply, N_MULTIPLY_PASSES);
    *ret_figures = (struct probe_figures){
        .read_bytes_per_s = n * (double)probe->part_bytes * (double)NS_PER_S / (double)read_ns,
        .int8_ops_per_s = n * (double)probe->n_rounds * probe->best.ops_per_round *
                          (double)NS_PER_S / (double)multiply_ns,
        .int8_means = probe->best.name,
    };
}
