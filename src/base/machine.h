/* SPDX-License-Identifier: Apache-2.0 */
/* base/machine.h - what this machine is: cores, memory, CPU features.
 *
 * Asked of the machine at run time, never of the compiler: one binary runs
 * on every CPU of its architecture.
 *
 * Threads  any
 */
#ifndef POMONA_BASE_MACHINE_H
#define POMONA_BASE_MACHINE_H

#include <stddef.h>
#include <stdint.h>

enum cpu_feature {
    CPU_AVX2 = 1u << 0, /* with FMA and F16C, which every such CPU has */
    CPU_AVX_VNNI = 1u << 1,
    CPU_AVX512 = 1u << 2, /* F, BW, DQ and VL */
    CPU_AVX512_VNNI = 1u << 3,
    CPU_AVX512_BF16 = 1u << 4,
    CPU_AMX_INT8 = 1u << 5, /* with tiles that this process may use */
    CPU_NEON = 1u << 6,
    CPU_NEON_DOTPROD = 1u << 7,
    CPU_NEON_I8MM = 1u << 8,
    CPU_AVX512_VBMI = 1u << 9,
};

/* Mask of enum cpu_feature that both the CPU and the operating system allow.  Where the CPU has
 * AMX, asks the system to let this process use its tiles; what it refuses is not in the mask. */
uint32_t machine_cpu_features(void);

/* Word for one feature bit: "avx2".  NULL for an unknown bit. */
const char *machine_cpu_feature_name(uint32_t bit);

/* Cores this process may use (its affinity mask), >= 1. */
unsigned machine_n_cores(void);

/* Of these, the ones of the fastest kind: the performance cores of Apple Silicon, where one
 * share of work in equal parts would wait for the efficiency cores.  All of them elsewhere. */
unsigned machine_n_fast_cores(void);

/* Bytes of memory, of the machine or of the cgroup that bounds us, whichever
 * is less. */
uint64_t machine_memory_bytes(void);

/* Bytes of the largest cache that cores share; 0 where the machine does not tell. */
size_t machine_cache_bytes(void);

/* Tells machines apart: the same in every process and container of one as long as it is up; 0
 * where the machine does not tell. */
uint64_t machine_id(void);

/* Model name of the CPU, for people.  Always NUL-terminated. */
void machine_cpu_name(char *ret_name, size_t capacity);

#endif
