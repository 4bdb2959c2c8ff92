/* SPDX-License-Identifier: Apache-2.0 */
/* base/process.h - what this process uses of its machine. */
#ifndef POMONA_BASE_PROCESS_H
#define POMONA_BASE_PROCESS_H

#include <stdint.h>

struct process_usage {
    double cpu_seconds;      /* of all its threads, in programs and in the system */
    uint64_t resident_bytes; /* 0 where the system does not say */
    uint64_t n_open_fds;     /* 0 where the system does not say */
    uint64_t n_max_fds;      /* that it may have open */
};

/* Reads a folder of its descriptors: some microseconds for each hundred of them. */
void process_usage(struct process_usage *ret);

/* Memory that another process of the same user holds.  0: the system does not say, or it is gone. */
uint64_t process_resident_bytes(long pid);

#endif
