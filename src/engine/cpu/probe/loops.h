/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/loops.h - the loops that are timed, one pair for each ISA.
 *
 * To add an ISA: a file with one const struct probe_loops, a row of loops[]
 * in probe.c, its flags in the module's CMakeLists.txt.
 */
#ifndef POMONA_ENGINE_CPU_PROBE_LOOPS_H
#define POMONA_ENGINE_CPU_PROBE_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum { PROBE_READ_BYTES = 512 }; /* what read() takes at a time */

struct probe_loops {
    const char *name;

    /* A sum over n_bytes (a multiple of PROBE_READ_BYTES) at `from`, aligned to 64 bytes: its
     * value is of no use but to keep the reads.  NULL: as the narrower ISAs do. */
    uint64_t (*read)(const void *from, size_t n_bytes);

    /* Rounds of independent dot products in registers, ops_per_round operations each. */
    uint64_t (*multiply)(size_t n_rounds);
    unsigned ops_per_round;
};

extern const struct probe_loops probe_plain;
extern const struct probe_loops probe_avx2;
extern const struct probe_loops probe_avx_vnni;
extern const struct probe_loops probe_avx512_vnni;
extern const struct probe_loops probe_amx;
extern const struct probe_loops probe_neon_dotprod;

#endif
