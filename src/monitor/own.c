/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/own.c - read what the kernel tells. */
#include "monitor/own.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/paths.h"

enum { TEXT_MAX_BYTES = 64 << 10, PROCESSES_MAX = 65536, ZONES_MAX = 64, SENSORS_MAX = 16 };

/* The file root/NAME; false: it cannot be read. */
static bool text_of(const char *root, const char *name, struct buf *text)
{
    char path[PATH_MAX_BYTES];

    buf_clear(text);
    return path_join(root, name, path, NULL) == ST_OK &&
           file_read(path, TEXT_MAX_BYTES, text, NULL) == ST_OK && !text->failed;
}

void own_parse_cpu(const char *stat, struct own_figures *figures)
{
    unsigned long long t[8] = { 0 };

    figures->cpu_total = figures->cpu_idle = 0;
    /* user nice system idle iowait irq softirq steal: proc.rst, section 1.7 */
    if (sscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
               &t[4], &t[5], &t[6], &t[7]) < 4)
        return;
    for (int i = 0; i < 8; i++)
        figures->cpu_total += t[i];
    figures->cpu_idle = t[3] + t[4];
}

/* "Name:   123 kB" of /proc/meminfo; NAN: it is not there. */
static double kilobytes(const char *text, const char *name)
{
    const size_t n = strlen(name);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            return strtod(line + n + 1, NULL);
    }
    return (double)NAN;
}

void own_parse_memory(const char *meminfo, struct own_figures *figures)
{
    const double total = kilobytes(meminfo, "MemTotal"), swap = kilobytes(meminfo, "SwapTotal");

    figures->memory_free = total > 0 ? kilobytes(meminfo, "MemAvailable") / total : (double)NAN;
    figures->swap_used =
        swap > 0 ? 1 - kilobytes(meminfo, "SwapFree") / swap : (swap == 0 ? 0 : (double)NAN);
}

double own_parse_pressure(const char *pressure)
{
    const char *some = strstr(pressure, "some avg10=");

    return some ? strtod(some + strlen("some avg10="), NULL) : (double)NAN;
}

double own_parse_file_limit(const char *limits)
{
    const char *line = strstr(limits, "Max open files");
    char *end;
    double limit;

    if (!line)
        return (double)NAN;
    line += strlen("Max open files");
    limit = strtod(line, &end);
    return end != line && limit > 0 ? limit : (double)NAN;
}

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    size_t n = 0;

    while (dir && (entry = readdir(dir)) != NULL)
        n += entry->d_name[0] != '.';
    if (dir)
        (void)closedir(dir);
    return n;
}

/* Of process `pid`, if it is one of Pomona's that may be looked at; else 0. */
static double files_of(const char *root, const char *pid, struct buf *text)
{
    char name[64], path[PATH_MAX_BYTES];
    double limit;

    (void)snprintf(name, sizeof(name), "proc/%.16s/comm", pid);
    if (!text_of(root, name, text) || strncmp(buf_text(text), "pomona", 6) != 0)
        return 0;
    (void)snprintf(name, sizeof(name), "proc/%.16s/limits", pid);
    if (!text_of(root, name, text))
        return 0;
    limit = own_parse_file_limit(buf_text(text));
    (void)snprintf(name, sizeof(name), "proc/%.16s/fd", pid);
    if (isnan(limit) || path_join(root, name, path, NULL) != ST_OK)
        return 0;
    return (double)count_entries(path) / limit;
}

static double files_used(const char *root, struct buf *text)
{
    char path[PATH_MAX_BYTES];
    DIR *dir = path_join(root, "proc", path, NULL) == ST_OK ? opendir(path) : NULL;
    const struct dirent *entry;
    double most = 0;

    if (!dir || !text_of(root, "proc/self/limits", text)) {
        if (dir)
            (void)closedir(dir);
        return (double)NAN;
    }
    for (int n = 0; n < PROCESSES_MAX && (entry = readdir(dir)) != NULL; n++)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            most = fmax(most, files_of(root, entry->d_name, text));
    (void)closedir(dir);
    return most;
}

/* All in thousandths of a degree: Documentation/driver-api/thermal/sysfs-api.rst, hwmon/sysfs-interface.rst */
static double hottest_chip(const char *root, int chip, struct buf *text)
{
    double most = (double)NAN;

    for (int i = 1; i <= SENSORS_MAX; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "sys/class/hwmon/hwmon%d/temp%d_input", chip, i);
        if (text_of(root, name, text)) /* numbers may be left out */
            most = fmax(most, strtod(buf_text(text), NULL) / 1000);
    }
    return most;
}

/* A GPU's own sensor is not the machine's. */
static bool is_of_gpu(const char *root, int chip, struct buf *text)
{
    static const char *const gpus[] = { "amdgpu", "radeon", "nouveau", "i915", "xe" };
    char name[64];

    (void)snprintf(name, sizeof(name), "sys/class/hwmon/hwmon%d/name", chip);
    for (size_t i = 0; text_of(root, name, text) && i < sizeof(gpus) / sizeof(gpus[0]); i++)
        if (strncmp(buf_text(text), gpus[i], strlen(gpus[i])) == 0)
            return true;
    return false;
}

static double hottest(const char *root, struct buf *text)
{
    double most = (double)NAN;

    for (int i = 0; i < ZONES_MAX; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "sys/class/thermal/thermal_zone%d/temp", i);
        if (!text_of(root, name, text))
            break;
        most = fmax(most, strtod(buf_text(text), NULL) / 1000); /* fmax() passes NAN over */
    }
    for (int chip = 0; chip < ZONES_MAX; chip++)
        if (!is_of_gpu(root, chip, text))
            most = fmax(most, hottest_chip(root, chip, text));
    return most;
}

static double busy(const struct own_figures *before, const struct own_figures *now)
{
    if (!before || now->cpu_total <= before->cpu_total || now->cpu_idle < before->cpu_idle)
        return (double)NAN;
    return 1 - (double)(now->cpu_idle - before->cpu_idle) /
                   (double)(now->cpu_total - before->cpu_total);
}

void own_read(const char *root, const char *pressure_file, const struct own_figures *before,
              struct own_figures *ret)
{
    struct own_figures f = { .memory_pressure = (double)NAN };
    struct buf text = { 0 };

    own_parse_cpu(text_of(root, "proc/stat", &text) ? buf_text(&text) : "", &f);
    f.cpu_busy = busy(before, &f);
    own_parse_memory(text_of(root, "proc/meminfo", &text) ? buf_text(&text) : "", &f);
    buf_clear(&text);
    if (file_read(pressure_file, TEXT_MAX_BYTES, &text, NULL) == ST_OK)
        f.memory_pressure = own_parse_pressure(buf_text(&text));
    f.temperature_c = hottest(root, &text);
    f.files_used = files_used(root, &text);
    own_read_gpus(root, &f);
    buf_release(&text);
    *ret = f;
}
