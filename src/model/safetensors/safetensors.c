/* SPDX-License-Identifier: Apache-2.0 */
/* model/safetensors/safetensors.c - the files of a folder as one set of tensors.
 *
 * Source  the file model.safetensors.index.json as Hugging Face's tools write it: "weight_map"
 *         has a file's name for each tensor's
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/size.h"
#include "model/safetensors/safetensors_priv.h"

enum { FILES_MAX = 1024, INDEX_BYTES_MAX = 32 << 20 };

static const char single[] = "model.safetensors", list[] = "model.safetensors.index.json";

static enum status open_one(struct safetensors *set, const char *dir, const char *name,
                            struct err *err)
{
    char path[PATH_MAX_BYTES];
    enum status s = path_join(dir, name, path, err);

    return s == ST_OK ? st_file_open(&set->files[set->n_files++], path, err) : s;
}

static enum status files_new(struct safetensors *set, size_t n, struct err *err)
{
    set->files = calloc(size_max(n, 1), sizeof(*set->files));
    return set->files ? ST_OK : err_set(err, ST_NOMEM, "no memory for %zu files", n);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct names of `map`'s values, in order; *ret_names: free(). */
static enum status files_of(const json_t *map, const char ***ret_names, size_t *ret_n,
                            struct err *err)
{
    const char **names = calloc(size_max(json_object_size(map), 1), sizeof(*names));
    size_t n = 0, n_distinct = 0;
    const char *tensor;
    const json_t *file;

    if (!names)
        return err_set(err, ST_NOMEM, "no memory for the names of files");
    /* clang-format off */
    json_object_foreach ((json_t *)map, tensor, file) {
        /* clang-format on */
        const char *name = json_string_value(file);

        if (!name || !name[0] || name[0] == '.' || strchr(name, '/')) {
            free(names);
            return err_set(err, ST_FORMAT, "it names a file outside of its folder");
        }
        names[n++] = name;
    }
    qsort(names, n, sizeof(*names), by_text);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[n_distinct - 1]) != 0)
            names[n_distinct++] = names[i];
    *ret_names = names;
    *ret_n = n_distinct;
    return ST_OK;
}

static enum status open_listed(struct safetensors *set, const char *dir, const json_t *map,
                               struct err *err)
{
    const char **names = NULL;
    size_t n = 0;
    enum status s;

    if (!json_is_object(map))
        return err_set(err, ST_FORMAT, "it has no 'weight_map'");
    s = files_of(map, &names, &n, err);
    if (s != ST_OK)
        return s;
    if (n > FILES_MAX)
        s = err_set(err, ST_RANGE, "it names %zu files; at most %d are read", n, FILES_MAX);
    if (s == ST_OK)
        s = files_new(set, n, err);
    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = open_one(set, dir, names[i], err);
    free(names);
    return s;
}

static enum status open_files(struct safetensors *set, const char *dir, struct err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf text = { 0 };
    json_t *index = NULL;
    json_error_t why;
    enum status s = path_join(dir, list, path, err);

    if (s == ST_OK)
        s = file_read(path, INDEX_BYTES_MAX, &text, err);
    if (s == ST_NOTFOUND) {
        buf_release(&text);
        s = files_new(set, 1, err);
        return s == ST_OK ? open_one(set, dir, single, err) : s;
    }
    if (s == ST_OK) {
        index = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, &why);
        if (!index && json_error_code(&why) == json_error_out_of_memory)
            s = err_set(err, ST_NOMEM, "no memory for it");
        else
            s = open_listed(set, dir, json_object_get(index, "weight_map"), err);
        if (s != ST_OK)
            err_wrap(err, "read '%s'", path);
    }
    json_decref(index);
    buf_release(&text);
    return s;
}

static int by_name(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static enum status join(struct safetensors *set, const char *dir, struct err *err)
{
    size_t n = 0;

    for (size_t i = 0; i < set->n_files; i++)
        n += set->files[i].n_tensors;
    set->tensors = calloc(size_max(n, 1), sizeof(*set->tensors));
    if (!set->tensors)
        return err_set(err, ST_NOMEM, "no memory for %zu tensors", n);
    for (size_t i = 0; i < set->n_files; i++) {
        memcpy(set->tensors + set->n_tensors, set->files[i].tensors,
               set->files[i].n_tensors * sizeof(*set->tensors));
        set->n_tensors += set->files[i].n_tensors;
    }
    qsort(set->tensors, n, sizeof(*set->tensors), by_name);
    for (size_t i = 1; i < n; i++)
        if (strcmp(set->tensors[i - 1].name, set->tensors[i].name) == 0)
            return err_set(err, ST_FORMAT, "tensor '%s' is in two files of '%s'",
                           set->tensors[i].name, dir);
    return ST_OK;
}

enum status safetensors_open(const char *dir, struct safetensors **ret_set, struct err *err)
{
    struct safetensors *set = calloc(1, sizeof(*set));
    enum status s;

    if (!set)
        return err_set(err, ST_NOMEM, "no memory to open '%s'", dir);
    s = open_files(set, dir, err);
    if (s == ST_OK)
        s = join(set, dir, err);
    if (s == ST_OK) {
        *ret_set = set;
        set = NULL;
    }
    safetensors_free(set);
    return s;
}

void safetensors_free(struct safetensors *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->n_files; i++)
        st_file_release(&set->files[i]);
    free(set->files);
    free(set->tensors);
    free(set);
}

size_t safetensors_n(const struct safetensors *set)
{
    return set->n_tensors;
}

const struct safetensors_tensor *safetensors_at(const struct safetensors *set, size_t i)
{
    return &set->tensors[i];
}

const struct safetensors_tensor *safetensors_find(const struct safetensors *set, const char *name)
{
    const struct safetensors_tensor wanted = { .name = name };

    return set->n_tensors ? bsearch(&wanted, set->tensors, set->n_tensors, sizeof(wanted), by_name)
                          : NULL;
}
