/* SPDX-License-Identifier: Apache-2.0 */
/* base/file.h - small whole files: read with a bound, replace atomically. */
#ifndef POMONA_BASE_FILE_H
#define POMONA_BASE_FILE_H

#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/status.h"

/* Append the whole of `path` to `ret_content`.
 * Errors  ST_NOTFOUND no such file; ST_RANGE longer than `max_bytes`; ST_IO */
enum status file_read(const char *path, size_t max_bytes, struct buf *ret_content, struct err *err);

/* Write `path` anew so that a reader, or a power cut, sees the old content or
 * the new one, never a part: temporary file, fsync, rename, fsync of the folder. */
enum status file_replace(const char *path, const void *bytes, size_t n, struct err *err);

/* Write all [n] bytes to `fd`, however many calls it takes.
 * Errors  ST_IO, with errno as write(2) left it */
enum status file_write_all(int fd, const void *bytes, size_t n);

/* When the content of the file that stat(2) described changed last. */
struct stat;
struct timespec file_modified(const struct stat *st);

#endif
