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

enum status path_data(const char *override, char *ret_path, struct err *err)
{
    const char *home = getenv("HOME");

    if (override)
        return copy_path(override, ret_path, err);
#if defined(__APPLE__)
    const char *below_home = "Library/Application Support/pomona";
#else
    const char *below_home = ".local/share/pomona";
    const char *xdg = getenv("XDG_DATA_HOME");

    if (xdg && xdg[0] == '/') /* relative values are to be ignored, says the specification */
        return path_join(xdg, "pomona", ret_path, err);
#endif
    if (!home || !home[0])
        return err_set(err, ST_RANGE, "HOME is not set; name the data folder with --data DIR");
    return path_join(home, below_home, ret_path, err);
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
