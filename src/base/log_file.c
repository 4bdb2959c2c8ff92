/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_file.c - standard error into a file that others may rotate. */
#include "base/log_file.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"

static const uint64_t LOOK_EVERY_NS = UINT64_C(1000000000);

static char path[PATH_MAX_BYTES];
static _Atomic uint64_t looked_ns;

/* dup2() puts the one in place of the other at once: no line of another thread is lost. */
static enum status take_file(struct err *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);

    if (fd < 0)
        return err_errno(err, "open the log '%s'", path);
    if (fd == STDERR_FILENO)
        return ST_OK;
    (void)dup2(fd, STDERR_FILENO);
    (void)close(fd);
    return ST_OK;
}

static bool is_at_its_path(void)
{
    struct stat here, there;

    return fstat(STDERR_FILENO, &here) == 0 && stat(path, &there) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

enum status log_file_begin(const char *name, struct err *err)
{
    enum status s;

    if (strlen(name) >= sizeof(path))
        return err_set(err, ST_RANGE, "the path of the log is too long");
    memcpy(path, name, strlen(name) + 1);
    s = take_file(err);
    if (s != ST_OK)
        path[0] = '\0';
    return s;
}

void log_file_look(void)
{
    const uint64_t now_ns = clock_ns();
    uint64_t last_ns = atomic_load_explicit(&looked_ns, memory_order_relaxed);

    if (!path[0] || (last_ns && now_ns - last_ns < LOOK_EVERY_NS))
        return;
    if (atomic_compare_exchange_strong(&looked_ns, &last_ns, now_ns) && !is_at_its_path())
        (void)take_file(NULL);
}
