/* SPDX-License-Identifier: Apache-2.0 */
/* base/busy.c - how much of this machine others than this process use. */
#include "base/busy.h"

#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#if defined(__APPLE__)
#include <mach/mach.h>
#endif

/* Since the start, of all cores together; negative where the system does not tell. */
static double all_processors_s(void)
{
    const double ticks_per_s = (double)sysconf(_SC_CLK_TCK);
    double ticks = -1;

#if defined(__APPLE__)
    host_cpu_load_info_data_t load;
    mach_msg_type_number_t n = HOST_CPU_LOAD_INFO_COUNT;

    if (host_statistics(mach_host_self(), HOST_CPU_LOAD_INFO, (host_info_t)&load, &n) ==
        KERN_SUCCESS)
        ticks = (double)load.cpu_ticks[CPU_STATE_USER] + (double)load.cpu_ticks[CPU_STATE_SYSTEM] +
                (double)load.cpu_ticks[CPU_STATE_NICE];
#else
    /* proc(5): user nice system idle iowait irq softirq steal; guests are in user and nice */
    unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
    FILE *f = fopen("/proc/stat", "re");

    if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle,
                    &iowait, &irq, &softirq, &steal) == 8)
        ticks = (double)(user + nice + system + irq + softirq + steal);
    if (f)
        (void)fclose(f);
#endif
    return ticks / ticks_per_s;
}

static double own_s(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* there is such a clock */
    return (double)t.tv_sec + (double)t.tv_nsec / (double)NS_PER_S;
}

void busy_mark(struct busy_mark *ret_mark)
{
    *ret_mark = (struct busy_mark){ clock_ns(), all_processors_s(), own_s() };
}

double busy_others(const struct busy_mark *mark)
{
    const double all_s = all_processors_s();
    const double wall_s = (double)(clock_ns() - mark->begin_ns) / (double)NS_PER_S;
    const double cores = (double)sysconf(_SC_NPROCESSORS_ONLN);

    if (mark->all_s < 0 || all_s < 0 || !(wall_s > 0) || !(cores > 0))
        return 0;
    return fmin(fmax((all_s - mark->all_s - (own_s() - mark->own_s)) / (wall_s * cores), 0), 1);
}
