/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_pieces.c - any bytes that a peer calls its pieces are refused, or are a map of some.
 *
 * The libFuzzer program fuzz_pieces (clang, -DPOMONA_FUZZ=ON).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/share/piece_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct piece_map map = { 0 };
    struct buf again = { 0 };
    struct err err = { 0 };

    if (piece_map_decode(bytes, n, &map, &err) != ST_OK) {
        if (!err.words[0] || strchr(err.words, '\n'))
            abort();
        return 0;
    }
    piece_map_encode(&map, &again);
    if (again.len != n || piece_map_count(&map, NULL) > map.file_bytes)
        abort();
    piece_map_add(&map, 0, map.file_bytes);
    if (!piece_map_covers(&map, 0, map.file_bytes))
        abort();
    piece_map_release(&map);
    buf_release(&again);
    return 0;
}
