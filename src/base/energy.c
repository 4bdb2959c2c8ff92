/* SPDX-License-Identifier: Apache-2.0 */
/* base/energy.c - the counters of RAPL, added up. */
#include "base/energy.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Zones of other kinds (intel-rapl-mmio) count the same packages again. */
#define ZONE_PREFIX "intel-rapl:"

static bool read_number(const char *folder, const char *file, uint64_t *ret)
{
    char path[PATH_MAX_BYTES + 32];
    FILE *f;
    bool ok;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    f = fopen(path, "re");
    ok = f && fscanf(f, "%" SCNu64, ret) == 1;
    if (f)
        (void)fclose(f);
    return ok;
}

static bool read_name(const char *folder, char *ret, size_t n_ret)
{
    char path[PATH_MAX_BYTES + 32];
    FILE *f;
    bool ok;

    (void)snprintf(path, sizeof(path), "%s/name", folder);
    f = fopen(path, "re");
    ok = f && fgets(ret, (int)n_ret, f);
    if (f)
        (void)fclose(f);
    if (ok)
        ret[strcspn(ret, "\n")] = '\0';
    return ok && ret[0];
}

/* A zone below a package, "intel-rapl:0:2", is a part of it, memory excepted. */
static bool read_zone(const char *folder, const char *entry, struct energy_zone *z)
{
    char name[ENERGY_NAME_MAX / 2], package[ENERGY_NAME_MAX / 2] = "", path[PATH_MAX_BYTES];
    const char *number = entry + strlen(ZONE_PREFIX);
    const bool is_part = strchr(number, ':') != NULL;

    if (snprintf(z->path, sizeof(z->path), "%s/%s", folder, entry) >= (int)sizeof(z->path) ||
        !read_name(z->path, name, sizeof(name)) || (is_part && strcmp(name, "dram") != 0))
        return false;
    (void)snprintf(path, sizeof(path), "%s/%s%.*s", folder, ZONE_PREFIX, (int)strcspn(number, ":"),
                   number);
    if (is_part && !read_name(path, package, sizeof(package)))
        return false;
    (void)snprintf(z->name, sizeof(z->name), "%s%s%s", package, is_part ? "/" : "", name);
    return read_number(z->path, "energy_uj", &z->last_uj) &&
           read_number(z->path, "max_energy_range_uj", &z->range_uj);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct energy_zone *)a)->name, ((const struct energy_zone *)b)->name);
}

void energy_open(struct energy *energy, const char *folder)
{
    DIR *all = opendir(folder);

    energy->n_zones = 0;
    for (const struct dirent *entry;
         all && energy->n_zones < ENERGY_ZONES_MAX && (entry = readdir(all)) != NULL;) {
        struct energy_zone zone = { .joules = 0 };

        if (strncmp(entry->d_name, ZONE_PREFIX, strlen(ZONE_PREFIX)) == 0 &&
            read_zone(folder, entry->d_name, &zone))
            energy->zones[energy->n_zones++] = zone;
    }
    if (all)
        (void)closedir(all);
    qsort(energy->zones, energy->n_zones, sizeof(energy->zones[0]), by_name);
}

void energy_read(struct energy *energy)
{
    for (size_t i = 0; i < energy->n_zones; i++) {
        struct energy_zone *z = &energy->zones[i];
        uint64_t now_uj;

        if (!read_number(z->path, "energy_uj", &now_uj))
            continue;
        if (now_uj < z->last_uj) /* it began again */
            z->joules += (double)(z->range_uj - z->last_uj + now_uj) / 1e6;
        else
            z->joules += (double)(now_uj - z->last_uj) / 1e6;
        z->last_uj = now_uj;
    }
}
