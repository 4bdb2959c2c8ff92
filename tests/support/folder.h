/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/folder.h - a folder for one test group, empty at the start and gone at the end. */
#ifndef POMONA_TESTS_SUPPORT_FOLDER_H
#define POMONA_TESTS_SUPPORT_FOLDER_H

#include "base/buf.h"
#include "base/paths.h"

struct folder {
    char path[PATH_MAX_BYTES];
};

/* All of these abort the test program where the file system fails. */
void folder_make(struct folder *folder);
void folder_remove(struct folder *folder); /* with everything in it */

/* The path of `name` inside; ret_path is [PATH_MAX_BYTES]. */
const char *folder_path(const struct folder *folder, const char *name, char *ret_path);

/* Write a file inside and tell its path. */
const char *folder_put(const struct folder *folder, const char *name, const struct buf *content,
                       char *ret_path);

#endif
