/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/convert.c - from a folder to a file: read, plan, head, rows, mark.
 *
 * A model is known by its head (gguf_digest()), so the head carries a mark of the content: without
 * it two tunings of one model, equal but for their weights, would be taken for each other.
 * The mark is made while rows are written, and put in its place last.
 */
#include "model/convert/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/size.h"
#include "model/convert/convert_priv.h"

enum { FLUSH_BYTES = 1 << 20, MARK_CHARS = 32 };

/* The first pair, so that its place is known: after magic, version and two counts come the key's
 * length, the key, the type, and the text's length. */
static const char mark_key[] = "pomona.content_xxh128";
enum { MARK_AT = 24 + 8 + (sizeof(mark_key) - 1) + 4 + 8 };

struct conversion {
    const char *path;
    struct convert_config config;
    struct safetensors *set;
    struct convert_tensors tensors;
    struct gguf_head head;
    struct buf bytes; /* not yet written */
    XXH3_state_t *mark;
    int fd; /* -1: not open */
    uint64_t done, total;
    void (*on_progress)(void *arg, uint64_t done, uint64_t total);
    void *arg;
};

bool convert_is_folder(const char *path)
{
    char config[PATH_MAX_BYTES];
    struct stat st;

    return path_join(path, "config.json", config, NULL) == ST_OK && stat(config, &st) == 0;
}

static void put_tensor(struct gguf_head *head, const struct convert_tensor *t)
{
    const uint64_t dims[] = { t->n_cols, t->n_rows };

    gguf_head_put_tensor(head, t->name, (uint32_t)t->dtype, t->is_vector ? 1 : 2, dims,
                         (uint64_t)t->n_rows * dtype_row_bytes(t->dtype, t->n_cols));
}

static enum status check_rows(const struct convert_tensors *tensors, struct err *err)
{
    for (size_t i = 0; i < tensors->n; i++)
        if (dtype_row_bytes(tensors->all[i].dtype, tensors->all[i].n_cols) == 0)
            return err_set(err, ST_FORMAT, "rows of '%s' are no whole blocks",
                           tensors->all[i].name);
    return ST_OK;
}

static enum status make_head(struct conversion *c, const char *dir, struct err *err)
{
    static const char no_mark[MARK_CHARS];
    json_t *json = NULL;
    enum status s = convert_json(dir, "config.json", &json, err);

    if (s != ST_OK)
        return s;
    s = convert_read_config(json, &c->config, err);
    if (s != ST_OK)
        err_wrap(err, "config.json");
    if (s == ST_OK)
        s = safetensors_open(dir, &c->set, err);
    if (s == ST_OK)
        s = convert_plan(&c->config, c->set, &c->tensors, err);
    if (s == ST_OK)
        s = check_rows(&c->tensors, err);
    if (s == ST_OK) {
        gguf_head_put_text(&c->head, mark_key, no_mark, sizeof(no_mark));
        convert_put_config(&c->config, &c->head);
        s = convert_put_text(dir, &c->config, json, &c->head, err);
    }
    for (size_t i = 0; i < c->tensors.n && s == ST_OK; i++)
        put_tensor(&c->head, &c->tensors.all[i]);
    if (s == ST_OK)
        s = gguf_head_finish(&c->head, &c->bytes, err);
    c->total = c->bytes.len + c->head.data_bytes;
    json_decref(json);
    return s;
}

static enum status write_error(const char *path, struct err *err)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return err_set(err, ST_FULL, "the disk of '%s' is full", path);
    return err_errno(err, "write '%s'", path);
}

static enum status flush(struct conversion *c, struct err *err)
{
    if (XXH3_128bits_update(c->mark, c->bytes.data, c->bytes.len) != XXH_OK ||
        file_write_all(c->fd, c->bytes.data, c->bytes.len) != ST_OK)
        return write_error(c->path, err);
    c->done += c->bytes.len;
    buf_clear(&c->bytes);
    if (c->on_progress)
        c->on_progress(c->arg, c->done, c->total);
    return ST_OK;
}

static enum status write_tensor(struct conversion *c, const struct convert_tensor *t,
                                struct err *err)
{
    enum status s = ST_OK;

    for (uint32_t row = 0; row < t->n_rows && s == ST_OK; row++) {
        s = convert_row(&c->config, t, row, &c->bytes, err);
        if (s == ST_OK && c->bytes.len >= FLUSH_BYTES)
            s = flush(c, err);
    }
    while (s == ST_OK && (c->done + c->bytes.len) % GGUF_ALIGNMENT != 0) {
        buf_putc(&c->bytes, '\0');
        if (buf_status(&c->bytes) != ST_OK)
            s = err_set(err, ST_NOMEM, "no memory for the end of '%s'", t->name);
    }
    return s;
}

static enum status write_mark(struct conversion *c, struct err *err)
{
    char mark[MARK_CHARS + 1];
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(c->mark));
    hex_write(canonical.digest, sizeof(canonical.digest), mark);
    if (pwrite(c->fd, mark, MARK_CHARS, MARK_AT) != MARK_CHARS || fsync(c->fd) != 0)
        return write_error(c->path, err);
    return ST_OK;
}

static enum status write_file(struct conversion *c, struct err *err)
{
    enum status s = ST_OK;

    c->mark = XXH3_createState();
    if (!c->mark || XXH3_128bits_reset(c->mark) != XXH_OK)
        return err_set(err, ST_NOMEM, "no memory for a mark of the content");
    c->fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (c->fd < 0)
        return err_errno(err, "create '%s'", c->path);
    for (size_t i = 0; i < c->tensors.n && s == ST_OK; i++)
        s = write_tensor(c, &c->tensors.all[i], err);
    if (s == ST_OK)
        s = flush(c, err);
    if (s == ST_OK)
        s = write_mark(c, err);
    if (close(c->fd) != 0 && s == ST_OK)
        s = write_error(c->path, err);
    if (s != ST_OK)
        (void)unlink(c->path);
    return s;
}

enum status convert_folder(const char *dir, const char *path,
                           void (*on_progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                           struct err *err)
{
    struct conversion c = { .path = path, .on_progress = on_progress, .arg = arg, .fd = -1 };
    enum status s = make_head(&c, dir, err);

    if (s == ST_OK)
        s = write_file(&c, err);
    if (s != ST_OK)
        err_wrap(err, "convert '%s'", dir);
    XXH3_freeState(c.mark);
    buf_release(&c.bytes);
    gguf_head_release(&c.head);
    free(c.tensors.all);
    safetensors_free(c.set);
    return s;
}
