/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/amx_emulated.c - eight tiles for each thread, as AMX has them. */
#include "support/amx_emulated.h"

#include <stdint.h>
#include <string.h>

#include "support/numbers.h"

enum { N_TILES = 8, MAX_ROWS = 16, MAX_BYTES = 64 };

struct amx_tile {
    unsigned n_rows, n_bytes; /* 0: not configured */
    unsigned char data[MAX_ROWS][MAX_BYTES];
};

static _Thread_local struct amx_tile tiles[N_TILES];

static struct amx_tile *tile_at(unsigned number)
{
    require(number < N_TILES && tiles[number].n_rows > 0, "tile %u is not configured", number);
    return &tiles[number];
}

void amx_configure(const void *config)
{
    const unsigned char *bytes = config;

    require(bytes[0] == 1 && bytes[1] == 0, "palette %u", bytes[0]);
    for (unsigned i = 2; i < 16; i++)
        require(bytes[i] == 0, "byte %u of the configuration is reserved", i);
    for (unsigned i = 0; i < 16; i++) {
        const unsigned n_bytes = bytes[16 + 2 * i] | (unsigned)bytes[17 + 2 * i] << 8;
        const unsigned n_rows = bytes[48 + i];

        require(n_bytes <= MAX_BYTES && n_rows <= MAX_ROWS && (n_rows == 0) == (n_bytes == 0),
                "tile %u of %u rows of %u bytes", i, n_rows, n_bytes);
        require(i < N_TILES || n_rows == 0, "there is no tile %u", i);
        if (i < N_TILES)
            tiles[i] = (struct amx_tile){ .n_rows = n_rows, .n_bytes = n_bytes };
    }
}

void amx_release(void)
{
    memset(tiles, 0, sizeof(tiles));
}

void amx_zero(unsigned tile)
{
    memset(tile_at(tile)->data, 0, sizeof(tiles[tile].data));
}

void amx_load(unsigned tile, const void *from, size_t stride_bytes)
{
    struct amx_tile *t = tile_at(tile);

    memset(t->data, 0, sizeof(t->data));
    for (unsigned r = 0; r < t->n_rows; r++)
        memcpy(t->data[r], (const unsigned char *)from + r * stride_bytes, t->n_bytes);
}

void amx_store(unsigned tile, void *to, size_t stride_bytes)
{
    const struct amx_tile *t = tile_at(tile);

    for (unsigned r = 0; r < t->n_rows; r++)
        memcpy((unsigned char *)to + r * stride_bytes, t->data[r], t->n_bytes);
}

static int32_t dot4(const unsigned char *a, const unsigned char *b, enum amx_sign sign_of_a)
{
    int32_t sum = 0;

    for (unsigned i = 0; i < 4; i++)
        sum += (sign_of_a == AMX_SIGNED ? (int8_t)a[i] : a[i]) * (int8_t)b[i];
    return sum;
}

void amx_multiply_bytes(unsigned sums, unsigned a, unsigned b, enum amx_sign sign_of_a)
{
    struct amx_tile *c = tile_at(sums);
    const struct amx_tile *x = tile_at(a), *w = tile_at(b);

    require(sums != a && sums != b && a != b, "tiles of a product must differ");
    require(c->n_rows == x->n_rows && c->n_bytes == w->n_bytes && x->n_bytes == 4 * w->n_rows,
            "tiles %u, %u and %u do not fit", sums, a, b);
    for (unsigned r = 0; r < c->n_rows; r++)
        for (unsigned n = 0; n < c->n_bytes; n += 4) {
            uint32_t acc;

            memcpy(&acc, &c->data[r][n], sizeof(acc));
            for (unsigned k = 0; k < w->n_rows; k++)
                acc += (uint32_t)dot4(&x->data[r][4 * k], &w->data[k][n], sign_of_a);
            memcpy(&c->data[r][n], &acc, sizeof(acc));
        }
}
