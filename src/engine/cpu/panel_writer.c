/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_writer.c - write beside the final name under a lock, flush, rename. */
#include "engine/cpu/panel_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/size.h"

/* What is left free on a disk: a twentieth of it, at most this. */
static const uint64_t spare_bytes_max = 1ull << 30;

/* Files are written in pieces of a large system page, each at a multiple of it: then the
 * system keeps them in large pages, which it maps as such. */
enum { WINDOW_BYTES = 2 * 1024 * 1024 };

struct panel_writer {
    const struct panel_plan *plan;
    unsigned char *window; /* [WINDOW_BYTES] of the file, from window_at on */
    uint64_t window_at;
    size_t n_window; /* bytes so far */
    int fd;
    char part[PATH_MAX_BYTES], path[PATH_MAX_BYTES], dir[PATH_MAX_BYTES];
    uint64_t *sums; /* [n_slices] */
};

static enum status failed(const char *what, const char *path, struct err *err)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return err_set(err, ST_FULL, "%s '%s': %s", what, path, strerror(errno));
    if (errno == EACCES || errno == EPERM || errno == EROFS)
        return err_set(err, ST_DENIED, "%s '%s': %s", what, path, strerror(errno));
    return err_errno(err, "%s '%s'", what, path);
}

static enum status check_room(const char *dir, uint64_t n_bytes, uint64_t largest_bytes,
                              struct err *err)
{
    struct rlimit limit;
    struct statvfs disk;
    uint64_t spare, room;

    /* Writing beyond it would end this process. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && largest_bytes > limit.rlim_cur)
        return err_set(err, ST_FULL, "files of this process may have %llu bytes, one needs %llu",
                       (unsigned long long)limit.rlim_cur, (unsigned long long)largest_bytes);
    if (statvfs(dir, &disk) != 0)
        return ST_OK; /* writing itself will tell */
    spare = (uint64_t)disk.f_blocks * disk.f_frsize / 20;
    spare = spare < spare_bytes_max ? spare : spare_bytes_max;
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room >= spare && room - spare >= n_bytes)
        return ST_OK;
    return err_set(err, ST_FULL, "'%s' needs %llu MiB and its disk has %llu MiB left", dir,
                   (unsigned long long)(n_bytes >> 20), (unsigned long long)(room >> 20));
}

enum status panel_folder_make(const char *dir, uint64_t n_bytes, uint64_t largest_bytes,
                              struct err *err)
{
    enum status s = path_make(dir, err);

    if (s != ST_OK)
        return s;
    if (access(dir, W_OK | X_OK) != 0)
        return failed("write to", dir, err);
    return check_room(dir, n_bytes, largest_bytes, err);
}

/* Whether `fd` still is what the path names: a writer that ended meanwhile renamed it away. */
static bool is_at_path(int fd, const char *path)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_dev == there.st_dev &&
           mine.st_ino == there.st_ino;
}

static enum status open_locked(const char *part, int *ret_fd, struct err *err)
{
    for (;;) {
        const int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        enum status s;

        if (fd < 0)
            return failed("create", part, err);
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            s = errno == EWOULDBLOCK
                    ? err_set(err, ST_PEER, "another process is writing '%s'", part)
                    : failed("lock", part, err);
            close(fd);
            return s;
        }
        if (is_at_path(fd, part)) {
            *ret_fd = fd;
            return ST_OK;
        }
        close(fd);
    }
}

/* The whole length at once, where the system can: then the file lies in one piece, and a
 * disk without room says so here. */
static enum status reserve(const struct panel_writer *w, struct err *err)
{
    if (ftruncate(w->fd, 0) != 0)
        return failed("empty", w->part, err);
#if defined(__linux__)
    if (fallocate(w->fd, 0, 0, (off_t)w->plan->n_bytes) == 0)
        return ST_OK;
    if (errno != EOPNOTSUPP && errno != EINTR)
        return failed("make room for", w->part, err);
#endif
    return ftruncate(w->fd, (off_t)w->plan->n_bytes) == 0 ? ST_OK
                                                          : failed("make room for", w->part, err);
}

static void writer_free(struct panel_writer *w)
{
    if (w->fd >= 0)
        close(w->fd); /* which unlocks */
    free(w->window);
    free(w->sums);
    free(w);
}

enum status panel_writer_new(const char *dir, const char *name, const struct panel_plan *plan,
                             struct panel_writer **ret_writer, struct err *err)
{
    struct panel_writer *w = calloc(1, sizeof(*w));
    char hidden[NAME_MAX + 1];
    enum status s;

    if (!w)
        return err_set(err, ST_NOMEM, "no memory to write '%s/%s'", dir, name);
    *w = (struct panel_writer){ .plan = plan, .fd = -1 };
    w->sums = calloc(plan->n_slices, sizeof(*w->sums));
    snprintf(hidden, sizeof(hidden), ".%s.part", name);
    snprintf(w->dir, sizeof(w->dir), "%s", dir);
    w->window = calloc(1, WINDOW_BYTES);
    s = w->sums && w->window ? path_join(dir, name, w->path, err)
                             : err_set(err, ST_NOMEM, "no memory to write '%s/%s'", dir, name);
    if (s == ST_OK)
        s = path_join(dir, hidden, w->part, err);
    if (s == ST_OK)
        s = open_locked(w->part, &w->fd, err);
    if (s == ST_OK)
        s = reserve(w, err);
    if (s == ST_OK)
        *ret_writer = w;
    else
        panel_writer_abandon(w);
    return s;
}

static enum status write_at(const struct panel_writer *w, const unsigned char *bytes, size_t n,
                            uint64_t at, struct err *err)
{
    while (n > 0) {
        const ssize_t done = pwrite(w->fd, bytes, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return failed("write", w->part, err);
        bytes += done;
        n -= (size_t)done;
        at += (uint64_t)done;
    }
    return ST_OK;
}

static enum status flush(struct panel_writer *w, struct err *err)
{
    const enum status s = write_at(w, w->window, w->n_window, w->window_at, err);

    w->window_at += w->n_window;
    w->n_window = 0;
    return s;
}

/* NULL bytes are zeros. */
static enum status append(struct panel_writer *w, const unsigned char *bytes, size_t n,
                          struct err *err)
{
    enum status s = ST_OK;

    while (n > 0 && s == ST_OK) {
        const size_t piece = size_min(n, WINDOW_BYTES - w->n_window);

        if (bytes)
            memcpy(w->window + w->n_window, bytes, piece);
        else
            memset(w->window + w->n_window, 0, piece);
        bytes = bytes ? bytes + piece : NULL;
        n -= piece;
        w->n_window += piece;
        if (w->n_window == WINDOW_BYTES)
            s = flush(w, err);
    }
    return s;
}

enum status panel_writer_put(struct panel_writer *w, uint32_t slice, const void *bytes,
                             struct err *err)
{
    const struct panel_slice s = panel_plan_slice(w->plan, slice);
    const uint64_t at = w->window_at + w->n_window;
    enum status status = append(w, NULL, s.at - at, err); /* what aligns tensors */

    w->sums[slice] = panel_slice_sum(bytes, s.n_bytes);
    return status == ST_OK ? append(w, bytes, s.n_bytes, err) : status;
}

static enum status write_head(const struct panel_writer *w, const uint8_t *key, struct err *err)
{
    const size_t n = panel_head_bytes(w->plan);
    unsigned char *head = malloc(n);
    enum status s;

    if (!head)
        return err_set(err, ST_NOMEM, "no memory to write '%s'", w->part);
    panel_head_write(w->plan, key, w->sums, head);
    s = write_at(w, head, n, 0, err);
    free(head);
    return s;
}

/* So that the new name outlives a power cut.  A folder that cannot be flushed costs a
 * rebuild at worst. */
static void flush_folder(const char *dir)
{
    const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

enum status panel_writer_commit(struct panel_writer *w, const uint8_t *key, struct err *err)
{
    enum status s = flush(w, err);

    if (s == ST_OK)
        s = write_head(w, key, err);
    if (s == ST_OK && fsync(w->fd) != 0)
        s = failed("flush", w->part, err);
    if (s == ST_OK && rename(w->part, w->path) != 0)
        s = failed("rename", w->part, err);
    if (s != ST_OK) {
        panel_writer_abandon(w);
        return s;
    }
    flush_folder(w->dir);
    writer_free(w);
    return ST_OK;
}

void panel_writer_abandon(struct panel_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        (void)unlink(w->part); /* while locked: nobody else's */
    writer_free(w);
}
