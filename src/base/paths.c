/* SPDX-License-Identifier: Apache-2.0 */
/* base/paths.c - where Pomona keeps its data. */
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

static enum status copy_path(const char *text, char *ret_path, struct err *err)
{
    if (strlen(text) >= PATH_MAX_BYTES)
        return err_set(err, ST_RANGE, "the path '%.40s...' is longer than %d bytes", text,
                       PATH_MAX_BYTES - 1);
    memcpy(ret_path, text, strlen(text) + 1);
    return ST_OK;
}

enum status path_join(const char *dir, const char *name, char *ret_path, struct err *err)
{
    char joined[2 * PATH_MAX_BYTES];

    snprintf(joined, sizeof(joined), "%.*s/%.*s", PATH_MAX_BYTES - 1, dir, PATH_MAX_BYTES - 1,
             name);
    return copy_path(joined, ret_path, err);
}

/* Where a system keeps the data of all programs of a user. */
struct place {
    const char *xdg; /* variable of the XDG Base Directory Specification, section 3 */
    const char *below_home;
};

#if defined(__APPLE__)
static const struct place data_place = { NULL, "Library/Application Support/pomona" };
static const struct place cache_place = { NULL, "Library/Caches/pomona" };
static const struct place config_place = { NULL, "Library/Application Support/pomona" };
#else
static const struct place data_place = { "XDG_DATA_HOME", ".local/share/pomona" };
static const struct place cache_place = { "XDG_CACHE_HOME", ".cache/pomona" };
static const struct place config_place = { "XDG_CONFIG_HOME", ".config/pomona" };
#endif

static enum status find_place(const struct place *place, char *ret_path, struct err *err)
{
    const char *home = getenv("HOME"), *xdg = place->xdg ? getenv(place->xdg) : NULL;

    if (xdg && xdg[0] == '/') /* relative values are to be ignored, says the specification */
        return path_join(xdg, "pomona", ret_path, err);
    if (!home || !home[0])
        return err_set(err, ST_RANGE, "HOME is not set; name the data folder with --data DIR");
    return path_join(home, place->below_home, ret_path, err);
}

enum status path_data(const char *override, char *ret_path, struct err *err)
{
    return override ? copy_path(override, ret_path, err) : find_place(&data_place, ret_path, err);
}

enum status path_cache(char *ret_path, struct err *err)
{
    return find_place(&cache_place, ret_path, err);
}

enum status path_config(char *ret_path, struct err *err)
{
    return find_place(&config_place, ret_path, err);
}

enum status path_make(const char *path, struct err *err)
{
    char part[PATH_MAX_BYTES];
    enum status s = copy_path(path, part, err);

    if (s != ST_OK)
        return s;
    for (char *p = part + 1;; p++) {
        const char here = *p;

        if (here != '/' && here != '\0')
            continue;
        *p = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return err_errno(err, "create the folder '%s'", part);
        if (here == '\0')
            return ST_OK;
        *p = here;
    }
}

enum status path_of_self(char *ret_path, struct err *err)
{
#if defined(__APPLE__)
    char raw[PATH_MAX_BYTES];
    uint32_t size = sizeof(raw);

    if (_NSGetExecutablePath(raw, &size) != 0)
        return err_set(err, ST_RANGE, "the path of this program is too long");
    return copy_path(raw, ret_path, err);
#else
    const ssize_t n = readlink("/proc/self/exe", ret_path, PATH_MAX_BYTES - 1);

    if (n < 0)
        return err_errno(err, "read /proc/self/exe");
    ret_path[n] = '\0';
    return ST_OK;
#endif
}

enum status path_beside_self(const char *name, char *ret_path, struct err *err)
{
    char self[PATH_MAX_BYTES];
    const enum status s = path_of_self(self, err);
    char *slash = s == ST_OK ? strrchr(self, '/') : NULL;

    if (!slash)
        return s;
    *slash = '\0';
    return path_join(self, name, ret_path, err);
}
