/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/parts.c - the models of which a node has pieces, as its fetches left them. */
#include "model/share/parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "model/model.h"
#include "model/store/store_priv.h"

enum { NOTE_BYTES_MAX = 4096, KNOWN_MAX = 8 };

static const char file_name[] = "model.gguf";

static enum status beside(const char *path, const char *suffix, char *ret_path, struct err *err)
{
    const int n = snprintf(ret_path, PATH_MAX_BYTES, "%s%s", path, suffix);

    if (n > 0 && n < PATH_MAX_BYTES)
        return ST_OK;
    return err_set(err, ST_RANGE, "the path '%.40s...' is too long", path);
}

static enum status path_of(const char *folder, const char *digest, char *ret_path, struct err *err)
{
    char own[PATH_MAX_BYTES];
    enum status s = path_join(folder, digest, own, err);

    return s == ST_OK ? path_join(own, file_name, ret_path, err) : s;
}

enum status part_manifest_path(const char *path, char *ret_path, struct err *err)
{
    return beside(path, ".manifest", ret_path, err);
}

enum status part_note(const char *path, const char *name, const char *origin, struct err *err)
{
    json_t *note = json_pack("{s:s, s:s}", "name", name, "origin", origin);
    char *text = note ? json_dumps(note, JSON_INDENT(1)) : NULL;
    char note_path[PATH_MAX_BYTES];
    enum status s = text ? beside(path, ".note", note_path, err)
                         : err_set(err, ST_NOMEM, "a note of '%s'", path);

    if (s == ST_OK)
        s = file_replace(note_path, text, strlen(text), err);
    free(text);
    json_decref(note);
    return s;
}

/* ---- the list ---- */

static bool read_note(const char *path, struct model_info *info)
{
    char note_path[PATH_MAX_BYTES];
    const char *name, *origin;
    struct buf text = { 0 };
    json_t *note = NULL;
    bool is_good;

    if (beside(path, ".note", note_path, NULL) == ST_OK &&
        file_read(note_path, NOTE_BYTES_MAX, &text, NULL) == ST_OK)
        note = json_loadb(text.data, text.len, 0, NULL);
    name = json_string_value(json_object_get(note, "name"));
    origin = json_string_value(json_object_get(note, "origin"));
    is_good = name && store_name_is_valid(name) && origin && strlen(origin) < MODEL_ORIGIN_MAX;
    if (is_good) {
        memcpy(info->name, name, strlen(name) + 1);
        memcpy(info->origin, origin, strlen(origin) + 1);
    }
    json_decref(note);
    buf_release(&text);
    return is_good;
}

/* From the head of the file, or what was kept of it: its time stays while pieces come. */
static bool read_info(const char *path, struct model_info *ret_info)
{
    char info_path[PATH_MAX_BYTES];
    struct model *model;
    struct stat st;

    if (stat(path, &st) != 0 || beside(path, ".info", info_path, NULL) != ST_OK)
        return false;
    if (store_cache_read(info_path, &st, ret_info))
        return true;
    if (model_open(path, &model, NULL) != ST_OK)
        return false;
    *ret_info = *model_info(model);
    model_free(model);
    store_cache_write(info_path, &st, ret_info);
    return true;
}

static bool read_part(const char *folder, const char *digest, struct part *ret_part)
{
    uint8_t bytes[MODEL_DIGEST_BYTES];
    struct part part = { 0 };
    struct piece_map map;

    if (strlen(digest) != 2 * sizeof(bytes) || !hex_read(digest, sizeof(bytes), bytes) ||
        path_of(folder, digest, part.path, NULL) != ST_OK || !read_info(part.path, &part.info) ||
        !read_note(part.path, &part.info) || memcmp(part.info.digest, bytes, sizeof(bytes)) != 0 ||
        piece_map_read(part.path, &map, NULL) != ST_OK)
        return false;
    part.info.is_part = true;
    part.info.has_root = true;
    memcpy(part.info.root, map.root, sizeof(part.info.root));
    piece_map_release(&map);
    *ret_part = part;
    return true;
}

enum status parts_list(const char *folder, struct part **ret_parts, size_t *ret_n, struct err *err)
{
    struct part *parts = NULL, *grown;
    const struct dirent *entry;
    enum status s = ST_OK;
    struct part part;
    size_t n = 0;
    DIR *dir = opendir(folder);

    while (dir && s == ST_OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !read_part(folder, entry->d_name, &part))
            continue;
        grown = realloc(parts, (n + 1) * sizeof(*parts));
        if (grown)
            parts = grown;
        else
            s = err_set(err, ST_NOMEM, "a list of %zu models", n);
        if (grown)
            parts[n++] = part;
    }
    if (dir)
        closedir(dir);
    if (s != ST_OK) {
        free(parts);
        return s;
    }
    *ret_parts = parts;
    *ret_n = n;
    return ST_OK;
}

/* ---- what is given ---- */

struct known {
    uint8_t digest[MODEL_DIGEST_BYTES];
    struct timespec modified; /* of the map's file */
    ino_t inode;
    struct piece_map map; /* bits NULL: free */
    uint64_t used;
};

struct parts {
    char folder[PATH_MAX_BYTES];
    char path[PATH_MAX_BYTES]; /* lent */
    struct known known[KNOWN_MAX];
    uint64_t clock;
};

enum status parts_new(const char *folder, struct parts **ret_parts, struct err *err)
{
    struct parts *parts = calloc(1, sizeof(*parts));

    if (!parts)
        return err_set(err, ST_NOMEM, "the parts of models");
    if (strlen(folder) >= sizeof(parts->folder)) {
        free(parts);
        return err_set(err, ST_RANGE, "the path '%.40s...' is too long", folder);
    }
    memcpy(parts->folder, folder, strlen(folder) + 1);
    *ret_parts = parts;
    return ST_OK;
}

void parts_free(struct parts *parts)
{
    if (!parts)
        return;
    for (size_t i = 0; i < KNOWN_MAX; i++)
        piece_map_release(&parts->known[i].map);
    free(parts);
}

/* A file that nobody can lock is being written, by a process that checked what it began with. */
static bool is_being_written(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_locked;

    if (fd < 0)
        return false;
    is_locked = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd); /* and unlock */
    return is_locked;
}

/* The entry of this digest, else the one that was used longest ago. */
static struct known *slot_of(struct parts *parts, const uint8_t *digest)
{
    struct known *oldest = &parts->known[0];

    for (size_t i = 0; i < KNOWN_MAX; i++) {
        struct known *k = &parts->known[i];

        if (k->map.bits && memcmp(k->digest, digest, sizeof(k->digest)) == 0)
            return k;
        if (!k->map.bits || (oldest->map.bits && k->used < oldest->used))
            oldest = k;
    }
    piece_map_release(&oldest->map);
    return oldest;
}

static bool is_same_file(const struct known *k, const struct stat *st)
{
    const struct timespec modified = file_modified(st);

    return k->map.bits && k->inode == st->st_ino && k->modified.tv_sec == modified.tv_sec &&
           k->modified.tv_nsec == modified.tv_nsec;
}

enum status parts_find(struct parts *parts, const uint8_t digest[MODEL_DIGEST_BYTES],
                       const char **ret_path, const struct piece_map **ret_pieces, struct err *err)
{
    char name[2 * MODEL_DIGEST_BYTES + 1], map_path[PATH_MAX_BYTES];
    struct known *k = slot_of(parts, digest);
    struct stat st;
    enum status s;

    hex_write(digest, MODEL_DIGEST_BYTES, name);
    s = path_of(parts->folder, name, parts->path, err);
    if (s == ST_OK)
        s = beside(parts->path, ".pieces", map_path, err);
    if (s == ST_OK && stat(map_path, &st) != 0)
        s = err_set(err, ST_NOTFOUND, "this node has no piece of the model");
    if (s == ST_OK && !is_same_file(k, &st)) {
        piece_map_release(&k->map);
        memcpy(k->digest, digest, sizeof(k->digest));
        k->inode = st.st_ino;
        k->modified = file_modified(&st);
        s = piece_map_read(parts->path, &k->map, err);
    }
    if (s == ST_OK && !k->map.is_clean && (k->map.is_doubtful || !is_being_written(parts->path))) {
        piece_map_release(&k->map); /* looked at again: only a lock tells */
        s = err_set(err, ST_NOTFOUND, "what this node has of the model is not checked yet");
    }
    if (s != ST_OK)
        return s;
    k->used = ++parts->clock;
    *ret_path = parts->path;
    *ret_pieces = &k->map;
    return ST_OK;
}
