/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/served.c - the models that a share server gives, and their manifests. */
#include "model/share/served.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/paths.h"
#include "model/share/manifest.h"
#include "net/job.h"

enum { TELL_AFTER_MS = 2000, TELL_EVERY_MS = 10000 };

struct served {
    uint8_t digest[MODEL_DIGEST_BYTES];
    char path[PATH_MAX_BYTES];
    struct buf manifest; /* encoded; empty: there is none */
    uint64_t file_bytes; /* as the manifest says */
    int64_t modified_unix_s;
    enum status failed; /* why the last attempt to make it ended; told once */
    struct err why;
};

/* A manifest under way.  `done` and `is_canceled` are the only parts both threads touch. */
struct making {
    struct served_list *list;
    uint8_t digest[MODEL_DIGEST_BYTES];
    char path[PATH_MAX_BYTES], kept[PATH_MAX_BYTES];
    uint32_t piece_bytes;
    uint64_t tell_at_ns;
    atomic_ullong done, total;
    atomic_bool is_canceled;
    struct manifest manifest;
    enum status status;
    struct err err;
};

struct served_list {
    struct loop *loop;
    char keep_dir[PATH_MAX_BYTES]; /* "": none */
    uint32_t piece_bytes;
    struct served *models; /* [n] */
    size_t n;
    struct making *making; /* NULL: none */
    loop_fn *on_stopped;
    void *on_stopped_arg;
};

enum status served_new(struct loop *loop, const char *keep_dir, uint32_t piece_bytes,
                       struct served_list **ret_list, struct err *err)
{
    struct served_list *list = calloc(1, sizeof(*list));
    enum status s = ST_OK;

    if (!list)
        return err_set(err, ST_NOMEM, "a list of models to give");
    list->loop = loop;
    list->piece_bytes = piece_bytes;
    if (keep_dir)
        s = path_join(keep_dir, "manifests", list->keep_dir, err);
    if (s == ST_OK && keep_dir && path_make(list->keep_dir, err) != ST_OK)
        list->keep_dir[0] = '\0'; /* made anew at every start, then */
    if (s != ST_OK) {
        served_free(list);
        return s;
    }
    *ret_list = list;
    return ST_OK;
}

static void models_free(struct served *models, size_t n)
{
    for (size_t i = 0; models && i < n; i++)
        buf_release(&models[i].manifest);
    free(models);
}

void served_stop(struct served_list *list, loop_fn *fn, void *arg)
{
    list->on_stopped = fn;
    list->on_stopped_arg = arg;
    if (list->making)
        atomic_store(&list->making->is_canceled, true);
    else
        fn(arg);
}

void served_free(struct served_list *list)
{
    if (!list)
        return;
    models_free(list->models, list->n);
    free(list);
}

static struct served *find(const struct served_list *list, const uint8_t *digest)
{
    for (size_t i = 0; i < list->n; i++)
        if (memcmp(list->models[i].digest, digest, MODEL_DIGEST_BYTES) == 0)
            return &list->models[i];
    return NULL;
}

const char *served_path(const struct served_list *list, const uint8_t digest[MODEL_DIGEST_BYTES])
{
    const struct served *m = find(list, digest);

    return m ? m->path : NULL;
}

static void take_manifest(struct served *m, const struct manifest *manifest)
{
    buf_clear(&m->manifest);
    manifest_encode(manifest, &m->manifest);
    if (buf_status(&m->manifest) != ST_OK)
        buf_release(&m->manifest);
    m->file_bytes = manifest->file_bytes;
    m->modified_unix_s = manifest->modified_unix_s;
}

static bool is_of(const struct stat *st, uint64_t file_bytes, int64_t modified_unix_s)
{
    return (uint64_t)st->st_size == file_bytes && (int64_t)st->st_mtime == modified_unix_s;
}

static bool path_in(const char *manifests, const uint8_t *digest, char *ret_path)
{
    char name[2 * MODEL_DIGEST_BYTES + 1];

    hex_write(digest, MODEL_DIGEST_BYTES, name);
    return path_join(manifests, name, ret_path, NULL) == ST_OK;
}

static bool keep_path(const struct served_list *list, const uint8_t *digest, char *ret_path)
{
    return list->keep_dir[0] && path_in(list->keep_dir, digest, ret_path);
}

bool served_root(const char *keep_dir, const uint8_t digest[MODEL_DIGEST_BYTES],
                 const char *model_path, uint8_t ret_root[PIECE_HASH_BYTES])
{
    char manifests[PATH_MAX_BYTES], kept[PATH_MAX_BYTES];
    struct stat st;

    return path_join(keep_dir, "manifests", manifests, NULL) == ST_OK &&
           path_in(manifests, digest, kept) && stat(model_path, &st) == 0 &&
           manifest_root_of(kept, digest, (uint64_t)st.st_size, (int64_t)st.st_mtime, ret_root);
}

static bool read_kept(const struct served_list *list, struct served *m, const struct stat *st)
{
    char path[PATH_MAX_BYTES];
    struct manifest manifest = { 0 };
    bool is_good;

    is_good = keep_path(list, m->digest, path) && manifest_read(path, &manifest, NULL) == ST_OK &&
              is_of(st, manifest.file_bytes, manifest.modified_unix_s) &&
              memcmp(manifest.model_digest, m->digest, sizeof(m->digest)) == 0 &&
              (list->piece_bytes == 0 || manifest.piece_bytes == list->piece_bytes);
    if (is_good)
        take_manifest(m, &manifest);
    manifest_release(&manifest);
    return is_good;
}

static bool on_hashed(void *arg, uint64_t done, uint64_t total)
{
    struct making *making = arg;

    atomic_store(&making->total, total);
    atomic_store(&making->done, done);
    if (clock_ns() >= making->tell_at_ns) {
        making->tell_at_ns = deadline_after_ms(TELL_EVERY_MS);
        log_info("hashing '%s' for peers: %.0f %% of %.1f GB", making->path,
                 total > 0 ? 100 * (double)done / (double)total : 0.0, (double)total / 1e9);
    }
    return !atomic_load(&making->is_canceled);
}

/* On the job's thread. */
static void make(void *arg)
{
    struct making *making = arg;

    making->tell_at_ns = deadline_after_ms(TELL_AFTER_MS);
    making->status = manifest_make(making->path, making->piece_bytes, on_hashed, making,
                                   &making->manifest, &making->err);
    if (making->status == ST_OK && making->kept[0])
        (void)manifest_write(making->kept, &making->manifest, NULL);
}

static void make_missing(struct served_list *list);

static void made(void *arg)
{
    struct making *making = arg;
    struct served_list *list = making->list;
    struct served *m = find(list, making->digest);

    list->making = NULL;
    if (making->status == ST_OK &&
        memcmp(making->manifest.model_digest, making->digest, sizeof(making->digest)) != 0)
        making->status =
            err_set(&making->err, ST_NOTFOUND, "'%s' is another model by now", making->path);
    if (m && making->status == ST_OK)
        take_manifest(m, &making->manifest);
    else if (m) {
        m->failed = making->status;
        m->why = making->err;
    }
    if (making->status != ST_OK && making->status != ST_CANCELED)
        log_warn("no manifest of '%s' could be made: %s", making->path, making->err.words);
    manifest_release(&making->manifest);
    free(making);
    if (list->on_stopped)
        list->on_stopped(list->on_stopped_arg);
    else
        make_missing(list);
}

static enum status start_making(struct served_list *list, const struct served *m,
                                const struct stat *st, struct err *err)
{
    struct making *making = calloc(1, sizeof(*making));
    enum status s;

    if (!making)
        return err_set(err, ST_NOMEM, "the manifest of '%s'", m->path);
    making->list = list;
    making->piece_bytes = list->piece_bytes;
    memcpy(making->digest, m->digest, sizeof(making->digest));
    memcpy(making->path, m->path, sizeof(making->path));
    if (!keep_path(list, m->digest, making->kept))
        making->kept[0] = '\0';
    atomic_init(&making->done, 0);
    atomic_init(&making->total, (unsigned long long)st->st_size);
    atomic_init(&making->is_canceled, false);
    s = job_start(list->loop, make, made, NULL, making, err);
    if (s != ST_OK) {
        free(making);
        return s;
    }
    list->making = making;
    return ST_OK;
}

/* Has it, is told why it has none, or can have none. */
static bool is_settled(const struct served_list *list, struct served *m, struct stat *st)
{
    if (m->failed != ST_OK || stat(m->path, st) != 0)
        return true;
    return (m->manifest.len > 0 && is_of(st, m->file_bytes, m->modified_unix_s)) ||
           read_kept(list, m, st);
}

/* The next one, ahead of who asks for it. */
static void make_missing(struct served_list *list)
{
    struct stat st;

    for (size_t i = 0; i < list->n && !list->making; i++)
        if (!is_settled(list, &list->models[i], &st) &&
            start_making(list, &list->models[i], &st, NULL) != ST_OK)
            return; /* no thread to be had: at the latest who asks will be told */
}

enum status served_manifest(struct served_list *list, const uint8_t digest[MODEL_DIGEST_BYTES],
                            const struct buf **ret_manifest, uint64_t *ret_done,
                            uint64_t *ret_total, struct err *err)
{
    struct served *m = find(list, digest);
    struct stat st;
    enum status s = ST_OK;

    if (!m || list->on_stopped)
        return err_set(err, ST_NOTFOUND, "this node gives no such model");
    if (stat(m->path, &st) != 0)
        return err_errno(err, "look at '%s'", m->path);
    if ((m->manifest.len > 0 && is_of(&st, m->file_bytes, m->modified_unix_s)) ||
        read_kept(list, m, &st)) {
        *ret_manifest = &m->manifest;
        return ST_OK;
    }
    if (m->failed != ST_OK) {
        s = err_set(err, m->failed, "%s", m->why.words);
        m->failed = ST_OK;
        return s;
    }
    if (!list->making)
        s = start_making(list, m, &st, err);
    if (s != ST_OK)
        return s;
    *ret_done = atomic_load(&list->making->done);
    *ret_total = atomic_load(&list->making->total);
    return err_set(err, ST_FULL, "the manifest is being made");
}

enum status served_set(struct served_list *list, const struct share_model *models, size_t n,
                       struct err *err)
{
    struct served *fresh = calloc(n + 1, sizeof(*fresh));

    if (!fresh)
        return err_set(err, ST_NOMEM, "a list of %zu models to give", n);
    for (size_t i = 0; i < n; i++) {
        struct served *old = find(list, models[i].digest);

        memcpy(fresh[i].digest, models[i].digest, sizeof(fresh[i].digest));
        if (strlen(models[i].path) < sizeof(fresh[i].path))
            memcpy(fresh[i].path, models[i].path, strlen(models[i].path) + 1);
        if (old && strcmp(old->path, fresh[i].path) == 0) {
            fresh[i] = *old;
            old->manifest = (struct buf){ 0 };
        }
    }
    models_free(list->models, list->n);
    list->models = fresh;
    list->n = n;
    if (!list->on_stopped)
        make_missing(list);
    return ST_OK;
}
