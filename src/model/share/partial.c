/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/partial.c - a model's file that fills piece by piece, and survives crashes.
 *
 *   open --put--> not clean --put, save--> not clean --finish--> clean
 *
 * The map on disk says "not clean" before the first piece is written, and a piece's bit is
 * written after the piece: a process that is killed loses the bits since the last save at
 * most, a power cut may leave bits without bytes, which the check at the next open finds.
 */
#include "model/share/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "model/share/le.h"

enum {
    LOCK_LOOK_MS = 50,
    WINDOW_BYTES = 128 << 20, /* a second of a fast link, a tenth of a small machine's memory */
};

struct partial {
    char path[PATH_MAX_BYTES];
    const struct manifest *manifest;
    struct piece_map map;
    int fd;
    uint64_t n_unwritten; /* bytes given to the system since it was last waited for */
    bool has_unsaved;
};

static enum status write_failed(const char *path, struct err *err)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(err, ST_FULL, "the disk of '%s' is full", path);
    if (errno == EFBIG)
        return err_set(err, ST_FULL, "no file as large as '%s' is to be can be made there", path);
    return err_errno(err, "write '%s'", path);
}

static enum status lock(const struct partial *p, uint64_t wait_ms, struct err *err)
{
    const uint64_t until = deadline_after_ms(wait_ms);
    const struct timespec look = { .tv_nsec = (long)(LOCK_LOOK_MS * NS_PER_MS) };

    while (flock(p->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, "lock '%s'", p->path);
        if (clock_ns() >= until)
            return err_set(err, ST_DEADLINE,
                           "another process of this machine is still fetching into '%s'", p->path);
        (void)nanosleep(&look, NULL);
    }
    return ST_OK;
}

/* The map beside the file, where it is of this very content. */
static bool take_map(struct partial *p)
{
    const struct manifest *m = p->manifest;
    struct piece_map map;
    struct stat st;

    if (fstat(p->fd, &st) != 0 || (uint64_t)st.st_size != m->file_bytes ||
        piece_map_read(p->path, &map, NULL) != ST_OK)
        return false;
    if (map.file_bytes != m->file_bytes || map.piece_bytes != m->piece_bytes ||
        memcmp(map.root, m->root, sizeof(map.root)) != 0) {
        piece_map_release(&map);
        return false;
    }
    p->map = map;
    return true;
}

static enum status start_anew(struct partial *p, struct err *err)
{
    enum status s = manifest_map(p->manifest, &p->map, err);

    if (s != ST_OK)
        return s;
    s = piece_map_write(p->path, &p->map, err); /* no bit is left of what was here */
    if (s == ST_OK &&
        (ftruncate(p->fd, 0) != 0 || ftruncate(p->fd, (off_t)p->manifest->file_bytes) != 0))
        s = write_failed(p->path, err);
    return s;
}

static bool read_all(int fd, void *to, size_t n, off_t at)
{
    for (size_t got = 0; got < n;) {
        const ssize_t r = pread(fd, (char *)to + got, n - got, at + (off_t)got);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return false;
        got += (size_t)r;
    }
    return true;
}

/* After a crash: believe no bit whose piece is not as it should be, and let nobody else do so
 * meanwhile. */
static enum status check_pieces(struct partial *p, struct err *err)
{
    uint8_t *bytes;
    enum status s;

    p->map.is_doubtful = true;
    s = piece_map_write(p->path, &p->map, err);
    if (s != ST_OK)
        return s;
    bytes = malloc(p->map.piece_bytes);
    if (!bytes)
        return err_set(err, ST_NOMEM, "a piece of '%s'", p->path);
    for (uint32_t i = 0; i < p->map.n_pieces; i++) {
        const uint32_t n = piece_map_bytes(&p->map, i);

        if (piece_map_has(&p->map, i) &&
            !(read_all(p->fd, bytes, n, (off_t)((uint64_t)i * p->map.piece_bytes)) &&
              manifest_fits(p->manifest, i, bytes, n)))
            piece_map_set(&p->map, i, false);
    }
    free(bytes);
    p->map.is_doubtful = false;
    return piece_map_write(p->path, &p->map, err);
}

static void keep_time(const struct partial *p)
{
    const struct timespec time = { .tv_sec = (time_t)(le_u32(p->manifest->root) >> 1) };
    const struct timespec times[2] = { time, time };

    (void)futimens(p->fd, times); /* what was kept of the model is made again, at worst */
}

enum status partial_open(const char *path, const struct manifest *manifest, uint64_t wait_ms,
                         struct partial **ret_partial, struct err *err)
{
    struct partial *p = calloc(1, sizeof(*p));
    enum status s;

    if (!p)
        return err_set(err, ST_NOMEM, "open '%s'", path);
    p->manifest = manifest;
    p->fd = -1;
    if (strlen(path) >= sizeof(p->path)) {
        s = err_set(err, ST_RANGE, "the path '%.40s...' is too long", path);
        goto out;
    }
    memcpy(p->path, path, strlen(path) + 1);
    p->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (p->fd < 0) {
        s = err_errno(err, "create '%s'", path);
        goto out;
    }
    s = lock(p, wait_ms, err);
    if (s == ST_OK && !take_map(p))
        s = start_anew(p, err);
    else if (s == ST_OK && !p->map.is_clean)
        s = check_pieces(p, err);
    if (s != ST_OK)
        goto out;
    keep_time(p);
    *ret_partial = p;
    p = NULL;

out:
    partial_close(p);
    return s;
}

void partial_close(struct partial *p)
{
    if (!p)
        return;
    if (p->has_unsaved)
        (void)partial_save(p, NULL);
    if (p->fd >= 0)
        close(p->fd); /* and unlock */
    piece_map_release(&p->map);
    free(p);
}

const struct piece_map *partial_pieces(const struct partial *p)
{
    return &p->map;
}

static bool write_all(int fd, const uint8_t *bytes, size_t n, off_t at)
{
    while (n > 0) {
        const ssize_t done = pwrite(fd, bytes, n, at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        bytes += done;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

/* Let the disk begin at once; once a window's worth waits, wait for it. */
static void spread_writing(struct partial *p, off_t at, uint32_t n)
{
    p->n_unwritten += n;
#if defined(SYNC_FILE_RANGE_WRITE)
    (void)sync_file_range(p->fd, at, n, SYNC_FILE_RANGE_WRITE);
#else
    (void)at;
#endif
    if (p->n_unwritten < WINDOW_BYTES)
        return;
    p->n_unwritten = 0;
#if defined(SYNC_FILE_RANGE_WRITE)
    (void)sync_file_range(p->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE);
#endif
}

static enum status begin_writing(struct partial *p, struct err *err)
{
    if (!p->map.is_clean)
        return ST_OK;
    p->map.is_clean = false;
    return piece_map_write(p->path, &p->map, err);
}

enum status partial_put(struct partial *p, uint32_t piece, const void *bytes, size_t n,
                        struct err *err)
{
    const off_t at = (off_t)((uint64_t)piece * p->manifest->piece_bytes);
    enum status s;

    if (piece >= p->map.n_pieces || !manifest_fits(p->manifest, piece, bytes, n))
        return err_set(err, ST_FORMAT, "piece %u is not what its hash says", piece);
    s = begin_writing(p, err);
    if (s != ST_OK)
        return s;
    if (!write_all(p->fd, bytes, n, at))
        return write_failed(p->path, err);
    spread_writing(p, at, (uint32_t)n);
    piece_map_set(&p->map, piece, true);
    p->has_unsaved = true;
    return ST_OK;
}

enum status partial_save(struct partial *p, struct err *err)
{
    p->has_unsaved = false;
    keep_time(p);
    return piece_map_write(p->path, &p->map, err);
}

enum status partial_finish(struct partial *p, struct err *err)
{
    if (p->map.is_clean)
        return ST_OK;
    if (fsync(p->fd) != 0)
        return write_failed(p->path, err);
    p->map.is_clean = true;
    return partial_save(p, err);
}
