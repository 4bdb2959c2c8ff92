/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/probe/amx.c - products of whole tiles of bytes; memory is read as without them.
 *
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18
 */
#include <immintrin.h>

#include "engine/cpu/probe/loops.h"

enum { N_SUMS = 4, TILE_ROWS = 16, TILE_BYTES = 64, PALETTE = 1 };

static void configure(void)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = { .palette = PALETTE };

    for (int tile = 0; tile < N_SUMS + 2; tile++) {
        config.row_bytes[tile] = TILE_BYTES;
        config.rows[tile] = TILE_ROWS;
    }
    __asm__ volatile("" ::: "memory"); /* the compiler does not know what the next line reads */
    _tile_loadconfig(&config);
}

static uint64_t multiply_amx(size_t n_rounds)
{
    int32_t sums[TILE_ROWS][TILE_BYTES / 4] = { 0 };

    configure();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (size_t round = 0; round < n_rounds; round++) {
        _tile_dpbssd(2, 0, 1);
        _tile_dpbssd(3, 0, 1);
        _tile_dpbssd(4, 0, 1);
        _tile_dpbssd(5, 0, 1);
    }
    _tile_stored(2, sums, TILE_BYTES);
    _tile_release();
    return (uint64_t)sums[0][0];
}

const struct probe_loops probe_amx = { "amx-int8", NULL, multiply_amx,
                                       2 * N_SUMS *TILE_ROWS *TILE_ROWS *TILE_BYTES };
