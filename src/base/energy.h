/* SPDX-License-Identifier: Apache-2.0 */
/* base/energy.h - what the machine's processors used, where the system tells.
 *
 * Linux gives Intel's and AMD's counters (RAPL) below /sys/class/powercap: each package, and the memory beside
 * it.  Often root alone may read them; then there are none, as on every other system.  Counters begin
 * again at 0 after hours of full load, which is added up here: so they are to be read more often than that.
 *
 * Threads  one at a time
 * Source   Linux, Documentation/power/powercap/powercap.rst
 */
#ifndef POMONA_BASE_ENERGY_H
#define POMONA_BASE_ENERGY_H

#include <stddef.h>
#include <stdint.h>

#include "base/paths.h"

enum { ENERGY_ZONES_MAX = 16, ENERGY_NAME_MAX = 64 };

#define ENERGY_FOLDER "/sys/class/powercap"

struct energy_zone {
    char name[ENERGY_NAME_MAX]; /* "package-0", "package-0/dram" */
    double joules;              /* since energy_open() */
    char path[PATH_MAX_BYTES];
    uint64_t last_uj, range_uj;
};

struct energy {
    struct energy_zone zones[ENERGY_ZONES_MAX]; /* [n_zones] */
    size_t n_zones;
};

/* What can be read below `folder` now; the rest is not there for good. */
void energy_open(struct energy *energy, const char *folder);

/* A read of a few small files of the kernel's for all zones. */
void energy_read(struct energy *energy);

#endif
