/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/manifest.c - make, write and check the hashes of a model's pieces. */
#include "model/share/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/file.h"
#include "model/gguf/gguf.h"
#include "model/share/le.h"

enum { VERSION = 1 };

static const char magic[8] = { 'P', 'O', 'M', 'O', 'N', 'A', 'M', 'F' };

static bool hash(const void *bytes, size_t n, uint8_t *ret_hash)
{
    unsigned length = 0;

    return EVP_Digest(bytes, n, ret_hash, &length, EVP_sha256(), NULL) == 1 &&
           length == PIECE_HASH_BYTES;
}

static enum status describe(const char *path, struct manifest *m, struct err *err)
{
    struct gguf *gguf;
    size_t head_bytes;
    enum status s = gguf_open(path, &gguf, err);

    if (s != ST_OK)
        return s;
    (void)gguf_head(gguf, &head_bytes);
    m->head_bytes = head_bytes;
    m->file_bytes = gguf_file_bytes(gguf);
    m->modified_unix_s = gguf_modified_unix_s(gguf);
    gguf_digest(gguf, m->model_digest);
    gguf_free(gguf);
    return ST_OK;
}

static enum status count_pieces(struct manifest *m, struct err *err)
{
    struct piece_map map;
    enum status s = piece_map_init(&map, m->file_bytes, m->piece_bytes, err);

    if (s != ST_OK)
        return s;
    m->n_pieces = map.n_pieces;
    piece_map_release(&map);
    m->hashes = calloc(m->n_pieces, PIECE_HASH_BYTES);
    return m->hashes ? ST_OK : err_set(err, ST_NOMEM, "the hashes of %u pieces", m->n_pieces);
}

/* Up to n bytes; fewer at the end of the file only.  -1: errno says why. */
static ssize_t read_piece(int fd, uint8_t *to, size_t n, off_t at)
{
    size_t got = 0;

    while (got < n) {
        const ssize_t r = pread(fd, to + got, n - got, at + (off_t)got);

        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static enum status hash_file(int fd, const char *path, struct manifest *m,
                             manifest_progress_fn *on_progress, void *arg, struct err *err)
{
    uint8_t *piece = malloc(m->piece_bytes);
    uint64_t done = 0;
    enum status s = ST_OK;

    if (!piece)
        return err_set(err, ST_NOMEM, "a piece of '%s'", path);
    for (uint32_t i = 0; i < m->n_pieces && s == ST_OK; i++) {
        const uint64_t left = m->file_bytes - done;
        const size_t n = left < m->piece_bytes ? (size_t)left : m->piece_bytes;
        const ssize_t got = read_piece(fd, piece, n, (off_t)done);

        if (got < 0)
            s = err_errno(err, "read '%s'", path);
        else if ((size_t)got < n)
            s = err_set(err, ST_IO, "'%s' shrank while it was read", path);
        else if (!hash(piece, n, m->hashes[i]))
            s = err_set(err, ST_NOMEM, "hash a piece of '%s'", path);
        done += n;
        if (s == ST_OK && on_progress && !on_progress(arg, done, m->file_bytes))
            s = err_set(err, ST_CANCELED, "hashing '%s' was ended", path);
    }
    free(piece);
    return s;
}

/* The file that `m` describes, from its first byte to its last. */
static enum status hash_path(const char *path, struct manifest *m,
                             manifest_progress_fn *on_progress, void *arg, struct err *err)
{
    struct stat st;
    enum status s;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "open '%s'", path);
    s = hash_file(fd, path, m, on_progress, arg, err);
    if (s == ST_OK && (fstat(fd, &st) != 0 || (uint64_t)st.st_size != m->file_bytes ||
                       (int64_t)st.st_mtime != m->modified_unix_s))
        s = err_set(err, ST_IO, "'%s' changed while it was read; try again", path);
    close(fd);
    return s;
}

enum { MODIFIED_AT = 8 + 4 + MODEL_DIGEST_BYTES + 8 + 8, MODIFIED_BYTES = 8 };

static void put_body(const struct manifest *m, struct buf *to)
{
    buf_append(to, magic, sizeof(magic));
    le_put_u32(to, VERSION);
    buf_append(to, m->model_digest, sizeof(m->model_digest));
    le_put_u64(to, m->file_bytes);
    le_put_u64(to, m->head_bytes);
    le_put_u64(to, (uint64_t)m->modified_unix_s);
    le_put_u32(to, m->piece_bytes);
    le_put_u32(to, m->n_pieces);
    buf_append(to, m->hashes, (size_t)m->n_pieces * PIECE_HASH_BYTES);
}

/* Of an encoded manifest of n bytes, the root's included: the hash of the rest but the time. */
static bool hash_root(const uint8_t *bytes, size_t n, uint8_t *ret_root)
{
    const uint8_t *rest = bytes + MODIFIED_AT + MODIFIED_BYTES;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned length = 0;
    bool is_hashed;

    is_hashed =
        context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(context, bytes, MODIFIED_AT) == 1 &&
        EVP_DigestUpdate(context, rest, n - PIECE_HASH_BYTES - (size_t)(rest - bytes)) == 1 &&
        EVP_DigestFinal_ex(context, ret_root, &length) == 1 && length == PIECE_HASH_BYTES;
    EVP_MD_CTX_free(context);
    return is_hashed;
}

static enum status seal(struct manifest *m, struct err *err)
{
    struct buf bytes = { 0 };
    bool is_sealed;

    manifest_encode(m, &bytes);
    is_sealed =
        buf_status(&bytes) == ST_OK && hash_root((const uint8_t *)bytes.data, bytes.len, m->root);
    buf_release(&bytes);
    return is_sealed ? ST_OK : err_set(err, ST_NOMEM, "the manifest of a model");
}

enum status manifest_make(const char *path, uint32_t piece_bytes, manifest_progress_fn *on_progress,
                          void *arg, struct manifest *ret_manifest, struct err *err)
{
    struct manifest m = { 0 };
    enum status s = describe(path, &m, err);

    if (s != ST_OK)
        return s;
    m.piece_bytes = piece_bytes ? piece_bytes : piece_bytes_of(m.file_bytes);
    s = count_pieces(&m, err);
    if (s == ST_OK)
        s = hash_path(path, &m, on_progress, arg, err);
    if (s == ST_OK)
        s = seal(&m, err);
    if (s != ST_OK) {
        manifest_release(&m);
        return s;
    }
    *ret_manifest = m;
    return ST_OK;
}

void manifest_release(struct manifest *manifest)
{
    free(manifest->hashes);
    *manifest = (struct manifest){ 0 };
}

void manifest_encode(const struct manifest *manifest, struct buf *ret_bytes)
{
    put_body(manifest, ret_bytes);
    buf_append(ret_bytes, manifest->root, sizeof(manifest->root));
}

static void take_head(const uint8_t *at, struct manifest *m)
{
    at += sizeof(magic) + 4;
    memcpy(m->model_digest, at, sizeof(m->model_digest));
    at += sizeof(m->model_digest);
    m->file_bytes = le_u64(at);
    m->head_bytes = le_u64(at + 8);
    m->modified_unix_s = (int64_t)le_u64(at + 16);
    m->piece_bytes = le_u32(at + 24);
    m->n_pieces = le_u32(at + 28);
}

enum status manifest_decode(const void *bytes, size_t n, struct manifest *ret_manifest,
                            struct err *err)
{
    const uint8_t *at = bytes;
    struct manifest m = { 0 };
    uint32_t n_told;
    uint8_t root[PIECE_HASH_BYTES];
    enum status s;

    if (n < MANIFEST_HEAD_BYTES + PIECE_HASH_BYTES || memcmp(at, magic, sizeof(magic)) != 0 ||
        le_u32(at + sizeof(magic)) != VERSION)
        return err_set(err, ST_FORMAT, "it is no manifest that this build reads");
    take_head(at, &m);
    n_told = m.n_pieces;
    if (m.head_bytes == 0 || m.head_bytes > m.file_bytes ||
        n != MANIFEST_HEAD_BYTES + ((size_t)n_told + 1) * PIECE_HASH_BYTES)
        return err_set(err, ST_FORMAT, "the manifest's sizes contradict one another");
    s = count_pieces(&m, err); /* PIECES_MAX bounds the allocation */
    if (s == ST_RANGE || (s == ST_OK && m.n_pieces != n_told))
        s = err_set(err, ST_FORMAT, "the manifest is of no possible file");
    if (s == ST_OK &&
        (!hash_root(at, n, root) || memcmp(root, at + n - PIECE_HASH_BYTES, sizeof(root)) != 0))
        s = err_set(err, ST_FORMAT, "the manifest is damaged");
    if (s != ST_OK) {
        manifest_release(&m);
        return s;
    }
    memcpy(m.hashes, at + MANIFEST_HEAD_BYTES, (size_t)n_told * PIECE_HASH_BYTES);
    memcpy(m.root, root, sizeof(m.root));
    *ret_manifest = m;
    return ST_OK;
}

enum status manifest_read(const char *path, struct manifest *ret_manifest, struct err *err)
{
    struct buf bytes = { 0 };
    enum status s = file_read(path, MANIFEST_BYTES_MAX, &bytes, err);

    if (s == ST_OK)
        s = manifest_decode(bytes.data, bytes.len, ret_manifest, err);
    buf_release(&bytes);
    return s;
}

enum status manifest_write(const char *path, const struct manifest *manifest, struct err *err)
{
    struct buf bytes = { 0 };
    enum status s;

    manifest_encode(manifest, &bytes);
    s = buf_status(&bytes) == ST_OK ? file_replace(path, bytes.data, bytes.len, err)
                                    : err_set(err, ST_NOMEM, "the manifest '%s'", path);
    buf_release(&bytes);
    return s;
}

bool manifest_root_of(const char *path, const uint8_t digest[MODEL_DIGEST_BYTES],
                      uint64_t file_bytes, int64_t modified_unix_s,
                      uint8_t ret_root[PIECE_HASH_BYTES])
{
    uint8_t head[MANIFEST_HEAD_BYTES], root[PIECE_HASH_BYTES];
    struct manifest m = { 0 };
    struct stat st;
    bool is_of;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    is_of = fstat(fd, &st) == 0 && st.st_size >= (off_t)(sizeof(head) + sizeof(root)) &&
            read_piece(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
            read_piece(fd, root, sizeof(root), st.st_size - (off_t)sizeof(root)) ==
                (ssize_t)sizeof(root) &&
            memcmp(head, magic, sizeof(magic)) == 0 && le_u32(head + sizeof(magic)) == VERSION;
    close(fd);
    if (!is_of)
        return false;
    take_head(head, &m);
    if (memcmp(m.model_digest, digest, sizeof(m.model_digest)) != 0 || m.file_bytes != file_bytes ||
        m.modified_unix_s != modified_unix_s ||
        m.piece_bytes != piece_bytes_of(file_bytes)) /* of another size: another root */
        return false;
    memcpy(ret_root, root, sizeof(root));
    return true;
}

bool manifest_fits(const struct manifest *m, uint32_t piece, const void *bytes, size_t n)
{
    const uint64_t left = m->file_bytes - (uint64_t)piece * m->piece_bytes;
    uint8_t found[PIECE_HASH_BYTES];

    return n == (left < m->piece_bytes ? left : m->piece_bytes) && hash(bytes, n, found) &&
           memcmp(found, m->hashes[piece], sizeof(found)) == 0;
}

enum status manifest_map(const struct manifest *manifest, struct piece_map *ret_map,
                         struct err *err)
{
    enum status s = piece_map_init(ret_map, manifest->file_bytes, manifest->piece_bytes, err);

    if (s == ST_OK)
        memcpy(ret_map->root, manifest->root, sizeof(ret_map->root));
    return s;
}
