/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/amx_emulated.h - the tile instructions of AMX in plain C, for machines without them.
 *
 * Included (-include) ahead of the kernels' own file, whose tile intrinsics it replaces: what it
 * computes is then checked on every machine that has the rest, AVX-512.  Shapes are held against
 * the configuration as the processor does; what would be an exception ends the program.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, LDTILECFG, TILELOADD,
 *         TILESTORED, TDPBSSD, TDPBUSD
 */
#ifndef POMONA_TESTS_SUPPORT_AMX_EMULATED_H
#define POMONA_TESTS_SUPPORT_AMX_EMULATED_H

#include <immintrin.h>
#include <stddef.h>

void amx_configure(const void *config);
void amx_release(void);
void amx_zero(unsigned tile);
void amx_load(unsigned tile, const void *from, size_t stride_bytes);
void amx_store(unsigned tile, void *to, size_t stride_bytes);

enum amx_sign { AMX_SIGNED, AMX_UNSIGNED };

/* sums += a * b, of groups of four bytes; b is signed. */
void amx_multiply_bytes(unsigned sums, unsigned a, unsigned b, enum amx_sign sign_of_a);

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbusd
#define _tile_loadconfig(config)       amx_configure(config)
#define _tile_release()                amx_release()
#define _tile_zero(tile)               amx_zero(tile)
#define _tile_loadd(tile, at, stride)  amx_load(tile, at, stride)
#define _tile_stored(tile, at, stride) amx_store(tile, at, stride)
#define _tile_dpbssd(sums, a, b)       amx_multiply_bytes(sums, a, b, AMX_SIGNED)
#define _tile_dpbusd(sums, a, b)       amx_multiply_bytes(sums, a, b, AMX_UNSIGNED)

#define kernel_fill_amx kernel_fill_amx_emulated

#endif
