/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/own_gpu.c - what the drivers of GPUs tell.
 *
 * Source  Linux: Documentation/gpu/amdgpu/driver-misc.rst (mem_info_vram_*), Documentation/hwmon/sysfs-interface.rst
 */
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/paths.h"
#include "monitor/own.h"

enum { CARDS_MAX = 16, CHIPS_MAX = 64, SENSORS_MAX = 4, NUMBER_MAX_BYTES = 64 };

/* The number in root/NAME; NAN: it cannot be read. */
static double number_in(const char *root, const char *name)
{
    char path[PATH_MAX_BYTES];
    struct buf text = { 0 };
    double number = (double)NAN;
    char *end;

    if (path_join(root, name, path, NULL) == ST_OK &&
        file_read(path, NUMBER_MAX_BYTES, &text, NULL) == ST_OK && !text.failed) {
        number = strtod(buf_text(&text), &end);
        if (end == buf_text(&text))
            number = (double)NAN;
    }
    buf_release(&text);
    return number;
}

static double hottest_of(const char *root, int card)
{
    double most = (double)NAN;

    for (int chip = 0; chip < CHIPS_MAX; chip++)
        for (int i = 1; i <= SENSORS_MAX; i++) {
            char name[96];

            (void)snprintf(name, sizeof(name),
                           "sys/class/drm/card%d/device/hwmon/hwmon%d/temp%d_input", card, chip, i);
            most = fmax(most, number_in(root, name) / 1000);
        }
    return most;
}

static double used_of(const char *root, int card)
{
    char used[64], total[64];

    (void)snprintf(used, sizeof(used), "sys/class/drm/card%d/device/mem_info_vram_used", card);
    (void)snprintf(total, sizeof(total), "sys/class/drm/card%d/device/mem_info_vram_total", card);
    return number_in(root, used) / number_in(root, total);
}

void own_read_gpus(const char *root, struct own_figures *figures)
{
    char path[PATH_MAX_BYTES];
    DIR *cards = path_join(root, "sys/class/drm", path, NULL) == ST_OK ? opendir(path) : NULL;

    figures->gpu_temperature_c = figures->gpu_memory_used = (double)NAN;
    if (!cards) /* most servers have none: nothing is tried in vain every few seconds */
        return;
    (void)closedir(cards);
    for (int card = 0; card < CARDS_MAX; card++) {
        figures->gpu_temperature_c = fmax(figures->gpu_temperature_c, hottest_of(root, card));
        figures->gpu_memory_used = fmax(figures->gpu_memory_used, used_of(root, card));
    }
}
