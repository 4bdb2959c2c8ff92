/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/own.h - the machine that the monitor runs on: what its kernel tells of resources.
 *
 * Linux tells by text files; a system that does not has no such figures, and they are NAN.
 * May block: files, and disks that are nearly dead.
 *
 * Source   Linux: Documentation/filesystems/proc.rst, Documentation/accounting/psi.rst
 * Threads  any, each with figures of its own
 */
#ifndef POMONA_MONITOR_OWN_H
#define POMONA_MONITOR_OWN_H

#include <stdint.h>

#include "base/status.h"

struct own_figures {
    double cpu_busy;        /* share of the time since the figures before */
    double memory_pressure; /* percent of the last ten seconds in which somebody waited */
    double memory_free, swap_used;
    double temperature_c;                      /* of the hottest sensor, GPUs apart */
    double gpu_temperature_c, gpu_memory_used; /* of the hottest, and of the fullest */
    double files_used;            /* of the process of Pomona that is nearest to its limit */
    uint64_t cpu_total, cpu_idle; /* counters, for the next time */
};

/* root           where proc/ and sys/ are: "/"
 * pressure_file  of memory
 * before         those of the last time; NULL: there is none, and cpu_busy is NAN */
void own_read(const char *root, const char *pressure_file, const struct own_figures *before,
              struct own_figures *ret);

/* Of GPUs, from sys/class/drm: what their drivers tell (amdgpu, i915, xe; others not).  NAN where there is none. */
void own_read_gpus(const char *root, struct own_figures *figures);

struct own_disk {
    double
        free; /* share of what may be used; of 256 GB where it is larger: 3 % of 8 TB are enough */
    double sync_s; /* that a page took to be on disk; NAN: it could not be written */
};

/* Of the disk that the folder `path` is on.
 * Errors  ST_IO  there is no such folder */
enum status own_disk(const char *path, struct own_disk *ret, struct err *err);

struct own_speed {
    double read_mb_s, write_mb_s; /* until it is on disk; NAN: it could not be measured */
};

/* Write and read SPEED_PROBE_BYTES of the disk that the folder `path` is on; a disk that is nearly full is left alone.
 * Errors  ST_IO, ST_FULL */
enum { SPEED_PROBE_BYTES = 8 << 20 };
enum status own_speed(const char *path, struct own_speed *ret, struct err *err);

/* Days from `now`, in seconds since 1970, until the first certificate in the PEM file `path` is over; less than 0: it is.
 * Errors  ST_NOTFOUND, ST_IO, ST_FORMAT */
enum status own_certificate_days(const char *path, int64_t now, double *ret_days, struct err *err);

/* Of what own_read() reads: how it is understood.  Each leaves NAN, or 0, where the text does not say. */
void own_parse_cpu(const char *stat, struct own_figures *figures);
void own_parse_memory(const char *meminfo, struct own_figures *figures);
double own_parse_pressure(const char *pressure);
double own_parse_file_limit(const char *limits); /* soft; NAN: unlimited */

#endif
