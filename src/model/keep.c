/* SPDX-License-Identifier: Apache-2.0 */
/* model/keep.c - name the folders of a model's panels, and weigh them. */
#include "model/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "model/model_priv.h"

static const char suffix[] = ".panels";

static bool beside(const char *path, char *ret_dir)
{
    const int n = snprintf(ret_dir, PATH_MAX_BYTES, "%s%s", path, suffix);

    return n > 0 && n < PATH_MAX_BYTES;
}

static bool in_cache(const char *path, char *ret_dir)
{
    const char *slash = strrchr(path, '/');
    char cache[PATH_MAX_BYTES];
    int n;

    if (path_cache(cache, NULL) != ST_OK)
        return false;
    n = snprintf(ret_dir, PATH_MAX_BYTES, "%s/panels/%s-%016llx", cache, slash ? slash + 1 : path,
                 (unsigned long long)XXH3_64bits(path, strlen(path)));
    return n > 0 && n < PATH_MAX_BYTES;
}

typedef bool (*place_fn)(const char *path, char *ret_dir);

static const place_fn places[ENGINE_KEEP_DIRS] = { beside, in_cache };

static void key_of(const struct model_info *info, uint8_t *ret_key)
{
    XXH128_canonical_t canonical;

    _Static_assert(sizeof(canonical.digest) == ENGINE_KEY_BYTES, "XXH128 fills a key");
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(info->digest, sizeof(info->digest),
                                                               (uint64_t)info->created_unix_s));
    memcpy(ret_key, canonical.digest, ENGINE_KEY_BYTES);
}

void model_keep_init(struct model_keep *keep, const struct model *model)
{
    size_t n = 0;

    *keep = (struct model_keep){ 0 };
    for (size_t i = 0; i < ENGINE_KEEP_DIRS; i++) {
        if (!places[i](model->path, keep->dirs[n]))
            continue;
        keep->engine.dirs[n] = keep->dirs[n];
        n++;
    }
    key_of(&model->info, keep->engine.key);
}

static uint64_t folder_bytes(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *file;
    uint64_t n_bytes = 0;
    struct stat st;

    if (!dir)
        return 0;
    while ((file = readdir(dir)))
        if (fstatat(dirfd(dir), file->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            n_bytes += (uint64_t)st.st_blocks * 512; /* POSIX sys/stat.h leaves the unit open; it
                                                      * is 512 wherever Pomona runs */
    closedir(dir);
    return n_bytes;
}

uint64_t model_keep_bytes(const char *model_path, char *ret_dir)
{
    char dir[PATH_MAX_BYTES];

    for (size_t i = 0; i < ENGINE_KEEP_DIRS; i++) {
        const uint64_t n_bytes = places[i](model_path, dir) ? folder_bytes(dir) : 0;

        if (n_bytes == 0)
            continue;
        memcpy(ret_dir, dir, sizeof(dir));
        return n_bytes;
    }
    return 0;
}

static bool is_orphan(const char *dir, const char *name, char *ret_path)
{
    const size_t n = strlen(name), n_suffix = strlen(suffix);
    char model[PATH_MAX_BYTES];
    struct stat st;

    if (n <= n_suffix || strcmp(name + n - n_suffix, suffix) != 0 ||
        path_join(dir, name, ret_path, NULL) != ST_OK)
        return false;
    memcpy(model, ret_path, strlen(ret_path) + 1);
    model[strlen(model) - n_suffix] = '\0';
    return lstat(model, &st) != 0 && errno == ENOENT;
}

void model_keep_orphans(const char *dir, void (*on_orphan)(void *arg, const char *path), void *arg)
{
    DIR *all = opendir(dir);
    const struct dirent *file;
    char path[PATH_MAX_BYTES];

    if (!all)
        return;
    while ((file = readdir(all)))
        if (is_orphan(dir, file->d_name, path))
            on_orphan(arg, path);
    closedir(all);
}
