/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/piece_map.c - a set of pieces, and its file. */
#include "model/share/piece_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/paths.h"
#include "model/share/le.h"

enum { VERSION = 1, STATE_WRITING = 0, STATE_CLEAN = 1, STATE_DOUBTFUL = 2 };

static const char magic[8] = { 'P', 'O', 'M', 'O', 'N', 'A', 'P', 'M' };

uint32_t piece_bytes_of(uint64_t file_bytes)
{
    uint32_t n = PIECE_BYTES;

    while (n <= PIECE_BYTES_MAX && (file_bytes + n - 1) / n > PIECES_MAX)
        n *= 2;
    return n <= PIECE_BYTES_MAX ? n : 0;
}

enum status piece_map_init(struct piece_map *ret_map, uint64_t file_bytes, uint32_t piece_bytes,
                           struct err *err)
{
    struct piece_map map = { .file_bytes = file_bytes, .piece_bytes = piece_bytes };
    uint64_t n;

    if (piece_bytes < PIECE_BYTES_MIN || piece_bytes > PIECE_BYTES_MAX ||
        (piece_bytes & (piece_bytes - 1)) != 0 || file_bytes == 0 || file_bytes > INT64_MAX)
        return err_set(err, ST_RANGE, "pieces of %u bytes of a file of %llu bytes", piece_bytes,
                       (unsigned long long)file_bytes);
    n = (file_bytes - 1) / piece_bytes + 1;
    if (n > PIECES_MAX)
        return err_set(err, ST_RANGE, "%llu pieces are more than %d", (unsigned long long)n,
                       PIECES_MAX);
    map.n_pieces = (uint32_t)n;
    map.bits = calloc(n / 8 + 1, 1);
    if (!map.bits)
        return err_set(err, ST_NOMEM, "a map of %llu pieces", (unsigned long long)n);
    *ret_map = map;
    return ST_OK;
}

void piece_map_release(struct piece_map *map)
{
    free(map->bits);
    *map = (struct piece_map){ 0 };
}

bool piece_map_has(const struct piece_map *map, uint32_t piece)
{
    return map->bits[piece / 8] >> piece % 8 & 1;
}

void piece_map_set(struct piece_map *map, uint32_t piece, bool is_here)
{
    const uint8_t bit = (uint8_t)(1u << piece % 8);

    if (is_here)
        map->bits[piece / 8] |= bit;
    else
        map->bits[piece / 8] &= (uint8_t)~bit;
}

uint32_t piece_map_bytes(const struct piece_map *map, uint32_t piece)
{
    const uint64_t left = map->file_bytes - (uint64_t)piece * map->piece_bytes;

    return left < map->piece_bytes ? (uint32_t)left : map->piece_bytes;
}

void piece_map_add(struct piece_map *map, uint64_t offset, uint64_t n_bytes)
{
    if (n_bytes == 0 || offset >= map->file_bytes)
        return;
    if (n_bytes > map->file_bytes - offset)
        n_bytes = map->file_bytes - offset;
    for (uint64_t i = offset / map->piece_bytes; i <= (offset + n_bytes - 1) / map->piece_bytes;
         i++)
        piece_map_set(map, (uint32_t)i, true);
}

bool piece_map_covers(const struct piece_map *map, uint64_t offset, uint64_t n_bytes)
{
    if (offset > map->file_bytes || n_bytes > map->file_bytes - offset)
        return false;
    if (n_bytes == 0)
        return true;
    for (uint64_t i = offset / map->piece_bytes; i <= (offset + n_bytes - 1) / map->piece_bytes;
         i++)
        if (!piece_map_has(map, (uint32_t)i))
            return false;
    return true;
}

uint64_t piece_map_count(const struct piece_map *wanted, const struct piece_map *but)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < wanted->n_pieces; i++)
        if (piece_map_has(wanted, i) && !(but && piece_map_has(but, i)))
            n += piece_map_bytes(wanted, i);
    return n;
}

static enum status path_of(const char *model_path, char *ret_path, struct err *err)
{
    const int n = snprintf(ret_path, PATH_MAX_BYTES, "%s.pieces", model_path);

    if (n > 0 && n < PATH_MAX_BYTES)
        return ST_OK;
    return err_set(err, ST_RANGE, "the path '%.40s...' is too long", model_path);
}

enum status piece_map_decode(const void *from, size_t n, struct piece_map *ret_map, struct err *err)
{
    const uint8_t *bytes = from;
    struct piece_map map;
    enum status s;

    if (n < PIECE_MAP_HEAD_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0 ||
        le_u32(bytes + 8) != VERSION)
        return err_set(err, ST_FORMAT, "it is no map of pieces");
    s = piece_map_init(&map, le_u64(bytes + 16), le_u32(bytes + 24), err);
    if (s != ST_OK)
        return s;
    if (n != PIECE_MAP_HEAD_BYTES + (size_t)map.n_pieces / 8 + 1) {
        piece_map_release(&map);
        return err_set(err, ST_FORMAT, "it has another size than its pieces need");
    }
    map.is_clean = le_u32(bytes + 12) == STATE_CLEAN;
    map.is_doubtful = le_u32(bytes + 12) == STATE_DOUBTFUL;
    memcpy(map.root, bytes + 28, PIECE_HASH_BYTES);
    memcpy(map.bits, bytes + PIECE_MAP_HEAD_BYTES, map.n_pieces / 8 + 1);
    *ret_map = map;
    return ST_OK;
}

void piece_map_encode(const struct piece_map *map, struct buf *ret_bytes)
{
    buf_append(ret_bytes, magic, sizeof(magic));
    le_put_u32(ret_bytes, VERSION);
    le_put_u32(ret_bytes, map->is_clean      ? STATE_CLEAN
                          : map->is_doubtful ? STATE_DOUBTFUL
                                             : STATE_WRITING);
    le_put_u64(ret_bytes, map->file_bytes);
    le_put_u32(ret_bytes, map->piece_bytes);
    buf_append(ret_bytes, map->root, PIECE_HASH_BYTES);
    buf_append(ret_bytes, map->bits, map->n_pieces / 8 + 1);
}

enum status piece_map_read(const char *model_path, struct piece_map *ret_map, struct err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf b = { 0 };
    enum status s = path_of(model_path, path, err);

    if (s == ST_OK)
        s = file_read(path, PIECE_MAP_BYTES_MAX, &b, err);
    if (s == ST_OK) {
        s = piece_map_decode(b.data, b.len, ret_map, err);
        if (s != ST_OK)
            err_wrap(err, "read '%s'", path);
    }
    buf_release(&b);
    return s;
}

enum status piece_map_write(const char *model_path, const struct piece_map *map, struct err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf b = { 0 };
    enum status s = path_of(model_path, path, err);

    if (s != ST_OK)
        return s;
    piece_map_encode(map, &b);
    s = buf_status(&b) == ST_OK ? file_replace(path, b.data, b.len, err)
                                : err_set(err, ST_NOMEM, "the pieces of '%s'", model_path);
    buf_release(&b);
    return s;
}
