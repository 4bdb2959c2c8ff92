/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_open.c - map a GGUF file and index what describes it.
 *
 * open -> stat -> map -> header -> metadata -> tensor directory.  Tensor bytes
 * are not read here: the kernel brings them in when an engine first touches
 * them, so the cost of opening depends on the directory, not on the weights.
 *
 * Source  ggml repository, docs/gguf.md, gguf_header_t
 */
#include "model/gguf/gguf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/size.h"

enum { HEADER_BYTES = 24 }; /* magic, version, number of tensors, number of keys */

static enum status check_version(uint32_t version, struct err *err)
{
    /* Version 2 and 3 share one layout; 3 only allowed big endian files. */
    if (version == 2 || version == 3)
        return ST_OK;
    if (version == 2u << 24 || version == 3u << 24)
        return err_set(err, ST_UNSUPPORTED, "the file is big endian; convert it to little endian");
    return err_set(err, ST_UNSUPPORTED, "the file is GGUF version %u; versions 2 and 3 are read",
                   (unsigned)version);
}

/* What of the file is here.  The head has to be, and is read no further. */
static enum status read_pieces(struct gguf *g, const char *path, struct err *err)
{
    enum status s = piece_map_read(path, &g->pieces, err);

    if (s == ST_NOTFOUND)
        return ST_OK;
    if (s == ST_OK && g->pieces.file_bytes != g->size)
        s = err_set(err, ST_FORMAT, "'%s' has another size than the map of its pieces says", path);
    return s;
}

/* Bytes from the beginning that are here without a hole. */
static size_t whole_bytes(const struct gguf *g)
{
    uint32_t n = 0;

    if (!g->pieces.bits)
        return g->size;
    while (n < g->pieces.n_pieces && piece_map_has(&g->pieces, n))
        n++;
    return size_min((size_t)n * g->pieces.piece_bytes, g->size);
}

static enum status read_head(struct gguf *g, struct err *err)
{
    struct gguf_cursor c = { g->base, 0, whole_bytes(g) };
    uint32_t magic, version;
    uint64_t n_tensors, n_pairs;
    enum status s;

    if (!gguf_take_u32(&c, &magic) || magic != GGUF_MAGIC)
        return err_set(err, ST_FORMAT, "it does not begin with 'GGUF', so it is no model file");
    if (!gguf_take_u32(&c, &version) || !gguf_take_u64(&c, &n_tensors) ||
        !gguf_take_u64(&c, &n_pairs))
        return err_set(err, ST_FORMAT, "the file ends inside its header");
    s = check_version(version, err);
    if (s == ST_OK)
        s = gguf_read_pairs(g, &c, n_pairs, err);
    if (s == ST_OK)
        s = gguf_read_tensors(g, &c, n_tensors, err);
    return s;
}

static enum status map_file(struct gguf *g, const char *path, struct err *err)
{
    struct stat st;
    void *mapped;
    enum status s = ST_OK;
    /* O_NONBLOCK: opening a pipe by mistake must not wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ST_NOTFOUND, "there is no file '%s'", path);
    if (fd < 0)
        return err_errno(err, "open '%s'", path);
    if (fstat(fd, &st) != 0) {
        s = err_errno(err, "look at '%s'", path);
        goto out;
    }
    if (!S_ISREG(st.st_mode) || st.st_size < HEADER_BYTES) {
        s = err_set(err, ST_FORMAT, "'%s' is no GGUF file: it is %s", path,
                    S_ISREG(st.st_mode) ? "shorter than a header" : "not a regular file");
        goto out;
    }
    mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED) {
        s = err_errno(err, "map '%s'", path);
        goto out;
    }
    g->base = mapped;
    g->size = (size_t)st.st_size;
    g->modified_unix_s = (int64_t)st.st_mtime;

out:
    close(fd); /* the mapping outlives the descriptor */
    return s;
}

enum status gguf_open(const char *path, struct gguf **ret_gguf, struct err *err)
{
    struct gguf *g = calloc(1, sizeof(*g));
    enum status s;

    if (!g)
        return err_set(err, ST_NOMEM, "no memory for the index of '%s'", path);
    s = map_file(g, path, err);
    if (s == ST_OK)
        s = read_pieces(g, path, err);
    if (s != ST_OK)
        goto out;
    s = read_head(g, err);
    if (s == ST_FORMAT && whole_bytes(g) < g->size)
        s = err_set(err, ST_NOTFOUND, "the beginning of the file was not fetched yet");
    if (s != ST_OK) {
        err_wrap(err, "read '%s'", path);
        goto out;
    }
    *ret_gguf = g;
    g = NULL;

out:
    gguf_free(g);
    return s;
}

void gguf_free(struct gguf *gguf)
{
    if (!gguf)
        return;
    free(gguf->pairs);
    free(gguf->tensors);
    if (gguf->base)
        munmap(gguf->base, gguf->size);
    piece_map_release(&gguf->pieces);
    free(gguf);
}

uint64_t gguf_file_bytes(const struct gguf *gguf)
{
    return gguf->size;
}

int64_t gguf_modified_unix_s(const struct gguf *gguf)
{
    return gguf->modified_unix_s;
}

uint64_t gguf_tensor_offset(const struct gguf *gguf, const struct gguf_tensor *tensor)
{
    return (uint64_t)((const unsigned char *)tensor->data - gguf->base);
}

bool gguf_is_here(const struct gguf *gguf, const void *data, uint64_t n_bytes)
{
    const unsigned char *at = data;

    return !gguf->pieces.bits ||
           piece_map_covers(&gguf->pieces, (uint64_t)(at - gguf->base), n_bytes);
}

static const struct gguf_tensor *tensor_at(const struct gguf *gguf, const void *data)
{
    for (size_t i = 0; i < gguf->n_tensors; i++)
        if (gguf->tensors[i].data == data)
            return &gguf->tensors[i];
    return NULL;
}

enum status gguf_check_here(const struct gguf *gguf, const void *data, uint64_t n_bytes,
                            struct err *err)
{
    const struct gguf_tensor *t;

    if (gguf_is_here(gguf, data, n_bytes))
        return ST_OK;
    t = tensor_at(gguf, data);
    return err_set(err, ST_NOTFOUND,
                   "tensor '%.*s' is not on this machine: only a part of the model was fetched",
                   t ? (int)t->name.n : 1, t ? t->name.bytes : "?");
}

void gguf_digest(const struct gguf *gguf, uint8_t ret_digest[MODEL_DIGEST_BYTES])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits_withSeed(gguf->base, gguf->head_bytes, gguf->size));
    _Static_assert(sizeof(canonical.digest) == MODEL_DIGEST_BYTES, "XXH128 fills a digest");
    memcpy(ret_digest, canonical.digest, MODEL_DIGEST_BYTES);
}

const void *gguf_head(const struct gguf *gguf, size_t *ret_n_bytes)
{
    *ret_n_bytes = gguf->head_bytes;
    return gguf->base;
}
