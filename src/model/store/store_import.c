/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store_import.c - add a model to the store.
 *
 * check the file -> agree on a name -> write beside the final name -> check
 * again -> rename.  Until the rename nobody sees the new model; a crash leaves
 * at most a file whose name begins with a dot, which listing ignores.
 */
#include "model/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"
#include "base/size.h"
#include "model/model.h"
#include "model/store/store_priv.h"

enum { COPY_CHUNK_BYTES = 1 << 20, PROGRESS_BYTES = 8 << 20 };

struct import {
    const struct store *store;
    const char *path; /* what is imported */
    struct model_info info;
    char name[MODEL_NAME_MAX];
    char target[PATH_MAX_BYTES];    /* DIR/NAME.gguf */
    char temporary[PATH_MAX_BYTES]; /* "": nothing to remove */
    void (*on_progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

static enum status read_info(const char *path, struct model_info *ret_info, struct err *err)
{
    struct model *model;
    enum status s = model_open(path, &model, err);

    if (s != ST_OK)
        return s;
    *ret_info = *model_info(model);
    model_free(model);
    return ST_OK;
}

/* A name nobody has, or that this very model has already. */
static enum status choose_name(struct import *im, const char *wanted, struct err *err)
{
    struct store_entry taken;
    char spelled[MODEL_NAME_MAX];
    enum status s;

    if (!store_name_of(wanted ? wanted : im->info.name, im->name))
        return err_set(err, ST_RANGE,
                       "'%.128s' cannot name a model: letters, digits and '._:-', "
                       "at most %d of them and no dot first, are possible",
                       wanted ? wanted : im->info.name, MODEL_NAME_MAX - 1);
    s = store_spelling(im->store, im->name, spelled, err);
    if (s != ST_OK && s != ST_NOTFOUND)
        return s;
    if (s == ST_OK && store_load(im->store, spelled, &taken, NULL) == ST_OK) {
        if (memcmp(taken.info.digest, im->info.digest, MODEL_DIGEST_BYTES) != 0)
            return err_set(err, ST_DENIED,
                           "the store has another model called '%s'; give this "
                           "one another name",
                           spelled);
        memcpy(im->name, spelled, sizeof(spelled));
    }
    return store_path(im->store, im->name, ".gguf", im->target, err);
}

/* The file is in its place: linked or copied there before, or it came from there. */
static bool is_in_place(const struct import *im, enum store_import_how how)
{
    struct stat from, to, link;

    if (stat(im->path, &from) != 0 || stat(im->target, &to) != 0 || lstat(im->target, &link) != 0)
        return false;
    if (from.st_dev != to.st_dev || from.st_ino != to.st_ino)
        return false;
    return how == STORE_LINK || S_ISREG(link.st_mode);
}

static enum status name_temporary(struct import *im, struct err *err)
{
    char random[17], name[MODEL_NAME_MAX + 32];

    random_hex(random, 8);
    snprintf(name, sizeof(name), ".%s.%s", im->name, random);
    return path_join(im->store->dir, name, im->temporary, err);
}

static enum status make_link(struct import *im, struct err *err)
{
    char *absolute = realpath(im->path, NULL);
    enum status s = ST_OK;

    if (!absolute)
        return err_errno(err, "resolve '%s'", im->path);
    if (symlink(absolute, im->temporary) != 0)
        s = err_errno(err, "link '%s' to '%s'", im->temporary, absolute);
    free(absolute);
    return s;
}

static enum status write_error(const char *path, struct err *err)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(err, ST_FULL, "the disk of '%s' is full", path);
    return err_errno(err, "write '%s'", path);
}

static enum status check_room(const struct import *im, struct err *err)
{
    struct statvfs disk;
    uint64_t room;

    if (statvfs(im->store->dir, &disk) != 0)
        return ST_OK; /* the copy itself will tell */
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room >= im->info.file_bytes)
        return ST_OK;
    return err_set(err, ST_FULL, "the model needs %llu MiB and the disk of '%s' has %llu MiB left",
                   (unsigned long long)(im->info.file_bytes >> 20), im->store->dir,
                   (unsigned long long)(room >> 20));
}

static enum status copy_bytes(const struct import *im, int from, int to, char *chunk,
                              struct err *err)
{
    uint64_t done = 0, told = 0;

    for (;;) {
        const ssize_t n = read(from, chunk, COPY_CHUNK_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "read '%s'", im->path);
        if (n == 0)
            break;
        if (file_write_all(to, chunk, (size_t)n) != ST_OK)
            return write_error(im->temporary, err);
        done += (uint64_t)n;
        if (done > im->info.file_bytes)
            return err_set(err, ST_IO, "'%s' grew while it was copied; try again", im->path);
        if (im->on_progress && (done - told >= PROGRESS_BYTES || done == im->info.file_bytes)) {
            told = done;
            im->on_progress(im->arg, done, im->info.file_bytes);
        }
    }
    return fsync(to) == 0 ? ST_OK : write_error(im->temporary, err);
}

static enum status make_copy(struct import *im, struct err *err)
{
    struct model_info copied;
    char *chunk = NULL;
    int from = -1, to = -1;
    enum status s = check_room(im, err);

    if (s != ST_OK)
        return s;
    chunk = malloc(COPY_CHUNK_BYTES);
    from = open(im->path, O_RDONLY | O_CLOEXEC);
    if (!chunk || from < 0) {
        s = chunk ? err_errno(err, "open '%s'", im->path)
                  : err_set(err, ST_NOMEM, "no memory to copy '%s'", im->path);
        goto out;
    }
    to = open(im->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (to < 0) {
        s = err_errno(err, "create '%s'", im->temporary);
        goto out;
    }
    s = copy_bytes(im, from, to, chunk, err);
    if (close(to) != 0 && s == ST_OK)
        s = write_error(im->temporary, err);
    if (s == ST_OK)
        s = read_info(im->temporary, &copied, err);
    if (s == ST_OK && memcmp(copied.digest, im->info.digest, MODEL_DIGEST_BYTES) != 0)
        s = err_set(err, ST_IO, "'%s' changed while it was copied; try again", im->path);

out:
    if (from >= 0)
        close(from);
    free(chunk);
    return s;
}

static enum status put_in_place(struct import *im, enum store_import_how how, struct err *err)
{
    enum status s = name_temporary(im, err);

    if (s != ST_OK)
        return s;
    s = how == STORE_LINK ? make_link(im, err) : make_copy(im, err);
    if (s == ST_OK && rename(im->temporary, im->target) != 0)
        s = err_errno(err, "rename to '%s'", im->target);
    if (s != ST_OK)
        (void)unlink(im->temporary);
    return s;
}

enum status store_import(const struct store *store, const char *path, const char *name,
                         enum store_import_how how,
                         void (*on_progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                         struct store_entry *ret_entry, struct err *err)
{
    struct import im = { .store = store, .path = path, .on_progress = on_progress, .arg = arg };
    enum status s = read_info(path, &im.info, err);

    if (s == ST_OK)
        s = choose_name(&im, name, err);
    if (s == ST_OK && !is_in_place(&im, how))
        s = put_in_place(&im, how, err);
    return s == ST_OK ? store_load(store, im.name, ret_entry, err) : s;
}

enum status store_new_name(const struct store *store, const char *wanted, char *ret_name,
                           struct err *err)
{
    char name[MODEL_NAME_MAX], spelled[MODEL_NAME_MAX];
    enum status s;

    if (!store_name_of(wanted, name))
        return err_set(err, ST_RANGE,
                       "'%.128s' cannot name a model: letters, digits and '._:-', "
                       "at most %d of them and no dot first, are possible",
                       wanted, MODEL_NAME_MAX - 1);
    s = store_spelling(store, name, spelled, err);
    if (s == ST_OK)
        return err_set(err, ST_DENIED, "the store has a model called '%s'; give this one a --name",
                       spelled);
    if (s != ST_NOTFOUND)
        return s;
    memcpy(ret_name, name, sizeof(name));
    return ST_OK;
}

enum status store_adopt(const struct store *store, const char *path, const char *name,
                        struct store_entry *ret_entry, struct err *err)
{
    char target[PATH_MAX_BYTES], free_name[MODEL_NAME_MAX];
    struct model_info info;
    enum status s = read_info(path, &info, err);

    if (s == ST_OK)
        s = store_new_name(store, name, free_name, err); /* it may have been taken meanwhile */
    if (s == ST_OK)
        s = store_path(store, free_name, ".gguf", target, err);
    if (s == ST_OK && rename(path, target) != 0)
        s = err_errno(err, "rename to '%s'", target);
    return s == ST_OK ? store_load(store, free_name, ret_entry, err) : s;
}
