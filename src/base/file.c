/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.c - small whole files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/paths.h"

enum { READ_CHUNK_BYTES = 16384 };

enum status file_read(const char *path, size_t max_bytes, struct buf *ret_content, struct err *err)
{
    char chunk[READ_CHUNK_BYTES];
    size_t total = 0;
    enum status s = ST_OK;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ST_NOTFOUND, "there is no file '%s'", path);
    if (fd < 0)
        return err_errno(err, "open '%s'", path);
    for (;;) {
        const ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            s = err_errno(err, "read '%s'", path);
            break;
        }
        if (n == 0)
            break;
        total += (size_t)n;
        if (total > max_bytes) {
            s = err_set(err, ST_RANGE, "'%s' is longer than %zu bytes", path, max_bytes);
            break;
        }
        buf_append(ret_content, chunk, (size_t)n);
    }
    close(fd);
    if (s == ST_OK && buf_status(ret_content) != ST_OK)
        s = err_set(err, ST_NOMEM, "content of '%s'", path);
    return s;
}

enum status file_write_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        const ssize_t done = write(fd, at, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return ST_IO;
        at += done;
        n -= (size_t)done;
    }
    return ST_OK;
}

/* The rename itself is safe from a power cut once the folder is on disk. */
static enum status sync_folder_of(const char *path, struct err *err)
{
    char folder[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + (slash == path) : 1;
    enum status s = ST_OK;
    int fd;

    if (n >= sizeof(folder))
        return err_set(err, ST_RANGE, "the path '%s' is too long", path);
    memcpy(folder, slash ? path : ".", n);
    folder[n] = '\0';
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "open '%s'", folder);
    if (fsync(fd) != 0 && errno != EINVAL) /* a file system that keeps no folders on disk */
        s = err_errno(err, "write '%s'", folder);
    close(fd);
    return s;
}

enum status file_replace(const char *path, const void *bytes, size_t n, struct err *err)
{
    char temporary[PATH_MAX_BYTES + 8];
    enum status s = ST_OK;
    int fd;

    snprintf(temporary, sizeof(temporary), "%.*s.XXXXXX", PATH_MAX_BYTES - 1, path);
    fd = mkstemp(temporary);
    if (fd < 0)
        return err_errno(err, "create a file beside '%s'", path);
    if (file_write_all(fd, bytes, n) != ST_OK || fsync(fd) != 0)
        s = err_errno(err, "write '%s'", temporary);
    if (close(fd) != 0 && s == ST_OK)
        s = err_errno(err, "close '%s'", temporary);
    if (s == ST_OK && rename(temporary, path) != 0)
        s = err_errno(err, "rename to '%s'", path);
    if (s != ST_OK)
        (void)unlink(temporary);
    else
        s = sync_folder_of(path, err);
    return s;
}

/* POSIX says st_mtim; macOS had its own word before. */
struct timespec file_modified(const struct stat *st)
{
#if defined(__APPLE__)
    return st->st_mtimespec;
#else
    return st->st_mtim;
#endif
}
