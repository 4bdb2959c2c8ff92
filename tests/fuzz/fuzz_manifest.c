/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_manifest.c - any bytes that a peer calls a manifest are refused, or are one.
 *
 * The libFuzzer program fuzz_manifest (clang, -DPOMONA_FUZZ=ON).  tests/unit/model/test_manifest.c
 * holds cut, changed and lying manifests to the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/share/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct manifest m = { 0 };
    struct piece_map map = { 0 };
    struct buf again = { 0 };
    struct err err = { 0 };

    if (manifest_decode(bytes, n, &m, &err) != ST_OK) {
        if (!err.words[0] || strchr(err.words, '\n'))
            abort();
        return 0;
    }
    manifest_encode(&m, &again);
    if (again.len != n || memcmp(again.data, bytes, n) != 0)
        abort();
    if (manifest_map(&m, &map, &err) != ST_OK || map.n_pieces != m.n_pieces)
        abort();
    piece_map_add(&map, 0, m.head_bytes);
    if (!piece_map_covers(&map, 0, m.head_bytes))
        abort();
    (void)manifest_fits(&m, m.n_pieces - 1, bytes, n);
    piece_map_release(&map);
    buf_release(&again);
    manifest_release(&m);
    return 0;
}
