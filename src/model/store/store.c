/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store.c - list and find models.
 *
 * The folder is the truth: what is listed is what is there now, whoever put it
 * there.  Names are compared without case because that is how people type
 * them and how half of the file systems see them.
 */
#include "model/store/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "model/model.h"
#include "model/store/store_priv.h"

static const char model_suffix[] = ".gguf";

static const char *suffix_of(const char *text)
{
    const size_t n = strlen(text), n_suffix = strlen(model_suffix);

    return n > n_suffix ? text + n - n_suffix : "";
}

static bool ends_in_suffix(const char *text)
{
    return strcasecmp(suffix_of(text), model_suffix) == 0;
}

bool store_name_is_valid(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    const size_t n = strlen(name);

    return n >= 1 && n < MODEL_NAME_MAX && name[0] != '.' && strspn(name, allowed) == n;
}

bool store_name_of(const char *text, char *ret_name)
{
    size_t n = strlen(text);

    if (ends_in_suffix(text))
        n -= strlen(model_suffix);
    if (n >= MODEL_NAME_MAX)
        return false;
    memcpy(ret_name, text, n);
    ret_name[n] = '\0';
    return store_name_is_valid(ret_name);
}

enum status store_path(const struct store *store, const char *name, const char *suffix,
                       char *ret_path, struct err *err)
{
    char file[MODEL_NAME_MAX + 8];

    snprintf(file, sizeof(file), "%s%s", name, suffix);
    return path_join(store->dir, file, ret_path, err);
}

enum status store_init(struct store *store, const char *data_dir, struct err *err)
{
    enum status s = path_join(data_dir, "models", store->dir, err);

    return s == ST_OK ? path_make(store->dir, err) : s;
}

enum status store_load(const struct store *store, const char *name, struct store_entry *ret_entry,
                       struct err *err)
{
    char cache[PATH_MAX_BYTES];
    struct store_entry entry = { 0 };
    struct model *model;
    struct stat st;
    enum status s = store_path(store, name, model_suffix, entry.path, err);

    if (s == ST_OK)
        s = store_path(store, name, ".json", cache, err);
    if (s != ST_OK)
        return s;
    if (stat(entry.path, &st) != 0 && errno == ENOENT)
        return err_set(err, ST_NOTFOUND, "'%s' is not there, or is a link to a file that is not",
                       entry.path);
    if (stat(entry.path, &st) != 0)
        return err_errno(err, "look at '%s'", entry.path);
    if (!store_cache_read(cache, &st, &entry.info)) {
        s = model_open(entry.path, &model, err);
        if (s != ST_OK)
            return s;
        entry.info = *model_info(model);
        model_free(model);
        store_cache_write(cache, &st, &entry.info);
    }
    snprintf(entry.info.name, sizeof(entry.info.name), "%s", name);
    store_origin_read(store, name, &entry.info);
    *ret_entry = entry;
    return ST_OK;
}

/* Walk the names of the store until `visit` returns other than ST_OK. */
static enum status each_file(const struct store *store,
                             enum status (*visit)(void *arg, const char *file, struct err *err),
                             void *arg, struct err *err)
{
    DIR *dir = opendir(store->dir);
    const struct dirent *file;
    enum status s = ST_OK;

    if (!dir)
        return err_errno(err, "list '%s'", store->dir);
    while (s == ST_OK && (file = readdir(dir)))
        if (file->d_name[0] != '.' && strcmp(suffix_of(file->d_name), model_suffix) == 0)
            s = visit(arg, file->d_name, err);
    closedir(dir);
    return s;
}

struct spelling {
    const char *name;
    bool is_found, is_exact;
    char found[MODEL_NAME_MAX];
};

static enum status compare_spelling(void *arg, const char *file, struct err *err)
{
    struct spelling *spelling = arg;
    char name[MODEL_NAME_MAX];

    (void)err;
    if (spelling->is_exact || !store_name_of(file, name) || strcasecmp(name, spelling->name) != 0)
        return ST_OK;
    spelling->is_found = true;
    spelling->is_exact = strcmp(name, spelling->name) == 0;
    memcpy(spelling->found, name, sizeof(name));
    return ST_OK;
}

enum status store_spelling(const struct store *store, const char *name, char *ret_name,
                           struct err *err)
{
    struct spelling spelling = { .name = name };
    enum status s = each_file(store, compare_spelling, &spelling, err);

    if (s != ST_OK)
        return s;
    if (!spelling.is_found)
        return err_set(err, ST_NOTFOUND, "the store has no '%s'", name);
    memcpy(ret_name, spelling.found, MODEL_NAME_MAX);
    return ST_OK;
}

struct listing {
    const struct store *store;
    struct store_entry *entries;
    size_t n, capacity;
    void (*on_bad)(void *arg, const char *path, const struct err *why);
    void *arg;
};

static void tell_bad(const struct listing *listing, const char *file, const struct err *why)
{
    char path[PATH_MAX_BYTES];

    if (listing->on_bad && path_join(listing->store->dir, file, path, NULL) == ST_OK)
        listing->on_bad(listing->arg, path, why);
}

static enum status add_entry(void *arg, const char *file, struct err *err)
{
    struct listing *listing = arg;
    char name[MODEL_NAME_MAX];
    struct store_entry entry, *grown;
    struct err why = { 0 };
    enum status s;

    if (!store_name_of(file, name))
        s = err_set(&why, ST_RANGE,
                    "its name is no model's: letters, digits and '._:-', at most "
                    "%d of them, are possible",
                    MODEL_NAME_MAX - 1);
    else
        s = store_load(listing->store, name, &entry, &why);
    if (s != ST_OK) {
        tell_bad(listing, file, &why);
        return ST_OK;
    }
    if (listing->n == listing->capacity) {
        const size_t capacity = listing->capacity ? 2 * listing->capacity : 16;

        grown = realloc(listing->entries, capacity * sizeof(*grown));
        if (!grown)
            return err_set(err, ST_NOMEM, "no memory to list %zu models", capacity);
        listing->entries = grown;
        listing->capacity = capacity;
    }
    listing->entries[listing->n++] = entry;
    return ST_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct store_entry *left = a, *right = b;

    return strcmp(left->info.name, right->info.name);
}

enum status store_list(const struct store *store, struct store_entry **ret_entries, size_t *ret_n,
                       void (*on_bad)(void *arg, const char *path, const struct err *why),
                       void *arg, struct err *err)
{
    struct listing listing = { .store = store, .on_bad = on_bad, .arg = arg };
    enum status s = each_file(store, add_entry, &listing, err);

    if (s != ST_OK) {
        free(listing.entries);
        return s;
    }
    if (listing.n > 0)
        qsort(listing.entries, listing.n, sizeof(*listing.entries), by_name);
    *ret_entries = listing.entries;
    *ret_n = listing.n;
    return ST_OK;
}

static enum status tell_what_there_is(const struct store *store, const char *asked, struct err *err)
{
    struct store_entry *entries = NULL;
    struct buf names = { 0 };
    size_t n = 0;

    if (store_list(store, &entries, &n, NULL, NULL, NULL) != ST_OK || n == 0)
        err_set(err, ST_NOTFOUND,
                "there is no model '%.128s': the store is empty; add one with 'pomona import FILE'",
                asked);
    for (size_t i = 0; i < n; i++)
        buf_printf(&names, "%s%s", i ? ", " : "", entries[i].info.name);
    if (n > 0)
        err_set(err, ST_NOTFOUND, "there is no model '%.128s'; there %s %.300s", asked,
                n == 1 ? "is" : "are", buf_text(&names));
    buf_release(&names);
    free(entries);
    return ST_NOTFOUND;
}

static enum status load_path(const char *path, struct store_entry *ret_entry, struct err *err)
{
    struct store_entry entry = { 0 };
    struct model *model;
    char *absolute; /* a runner may start in another folder */
    enum status s = model_open(path, &model, err);

    if (s != ST_OK)
        return s;
    entry.info = *model_info(model);
    model_free(model);
    absolute = realpath(path, NULL);
    if (!absolute)
        return err_errno(err, "resolve '%s'", path);
    if (strlen(absolute) < sizeof(entry.path))
        memcpy(entry.path, absolute, strlen(absolute) + 1);
    else
        s = err_set(err, ST_RANGE, "the path of '%s' is longer than %d bytes", path,
                    PATH_MAX_BYTES - 1);
    free(absolute);
    if (s == ST_OK)
        *ret_entry = entry;
    return s;
}

enum status store_find(const struct store *store, const char *name_or_path,
                       struct store_entry *ret_entry, struct err *err)
{
    char name[MODEL_NAME_MAX], spelled[MODEL_NAME_MAX];
    enum status s;

    if (strchr(name_or_path, '/') ||
        (ends_in_suffix(name_or_path) && access(name_or_path, F_OK) == 0))
        return load_path(name_or_path, ret_entry, err);
    if (!store_name_of(name_or_path, name))
        return tell_what_there_is(store, name_or_path, err);
    s = store_spelling(store, name, spelled, err);
    if (s == ST_NOTFOUND)
        return tell_what_there_is(store, name_or_path, err);
    return s == ST_OK ? store_load(store, spelled, ret_entry, err) : s;
}
