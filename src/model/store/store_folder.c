/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store_folder.c - add a model that is a folder of safetensors, converted on the way. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "base/size.h"
#include "model/convert/convert.h"
#include "model/store/store_priv.h"

/* The last part of a path, without slashes at its end. */
static void name_of_folder(const char *path, char *ret_name)
{
    size_t end = strlen(path), start;

    while (end > 0 && path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        ;
    end = size_min(end, start + MODEL_NAME_MAX - 1);
    memcpy(ret_name, path + start, end - start);
    ret_name[end - start] = '\0';
}

enum status store_import_folder(const struct store *store, const char *dir, const char *name,
                                void (*on_progress)(void *arg, uint64_t done, uint64_t total),
                                void *arg, struct store_entry *ret_entry, struct err *err)
{
    char own[MODEL_NAME_MAX], free_name[MODEL_NAME_MAX], random[17], file[MODEL_NAME_MAX + 32];
    char temporary[PATH_MAX_BYTES];
    enum status s;

    name_of_folder(dir, own);
    s = store_new_name(store, name ? name : own, free_name, err);
    if (s != ST_OK)
        return s;
    random_hex(random, 8);
    snprintf(file, sizeof(file), ".%s.%s", free_name, random);
    s = path_join(store->dir, file, temporary, err);
    if (s == ST_OK)
        s = convert_folder(dir, temporary, on_progress, arg, err);
    if (s != ST_OK)
        return s;
    s = store_adopt(store, temporary, free_name, ret_entry, err);
    if (s != ST_OK)
        (void)unlink(temporary);
    return s;
}
