/* SPDX-License-Identifier: Apache-2.0 */
/* base/process.c - what this process uses of its machine. */
#include "base/process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <libproc.h>
#include <mach/mach.h>
#endif

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

#if defined(__APPLE__)
static uint64_t resident_bytes(void)
{
    struct mach_task_basic_info info;
    mach_msg_type_number_t n = MACH_TASK_BASIC_INFO_COUNT;

    if (task_info(mach_task_self(), MACH_TASK_BASIC_INFO, (task_info_t)&info, &n) != KERN_SUCCESS)
        return 0;
    return info.resident_size;
}

uint64_t process_resident_bytes(long pid)
{
    struct proc_taskinfo info;

    if (pid <= 0 ||
        proc_pidinfo((int)pid, PROC_PIDTASKINFO, 0, &info, sizeof(info)) != sizeof(info))
        return 0;
    return info.pti_resident_size;
}
#else
static uint64_t read_statm(const char *path)
{
    FILE *f = fopen(path, "re");
    uint64_t size, pages = 0;

    if (!f)
        return 0;
    if (fscanf(f, "%" SCNu64 " %" SCNu64, &size, &pages) != 2)
        pages = 0;
    (void)fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t resident_bytes(void)
{
    return read_statm("/proc/self/statm");
}

uint64_t process_resident_bytes(long pid)
{
    char path[40];

    (void)snprintf(path, sizeof(path), "/proc/%ld/statm", pid);
    return pid > 0 ? read_statm(path) : 0;
}
#endif

/* Linux and macOS both have it. */
static uint64_t count_fds(void)
{
    DIR *folder = opendir("/dev/fd");
    uint64_t n = 0;

    if (!folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    (void)closedir(folder);
    return n > 0 ? n - 1 : 0; /* the folder's own */
}

void process_usage(struct process_usage *ret)
{
    struct rusage used;
    struct rlimit most;

    *ret = (struct process_usage){ .resident_bytes = resident_bytes(), .n_open_fds = count_fds() };
    if (getrusage(RUSAGE_SELF, &used) == 0)
        ret->cpu_seconds = seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &most) == 0)
        ret->n_max_fds = most.rlim_cur;
}
