/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/speed_file.c - what was measured of this machine, kept for the next start.
 *
 *   pomona speed 2
 *   others 0.02
 *   node.memory_gbs 27.61
 *   ...
 *   machine.memory_gbs 31.3
 */
#include "cluster/topology/speed_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/machine.h"

enum { FILE_MAX_BYTES = 4096 };

static const char *const owners[] = { "node", "machine" };
enum { N_OWNERS = 2 };

#define OTHERS "others "

enum status speed_file_path(const char *folder, unsigned n_threads, const char *kernels,
                            char *ret_path, struct err *err)
{
    char cpu[128], name[17], speeds[PATH_MAX_BYTES];
    struct buf key = { 0 };
    enum status s;

    machine_cpu_name(cpu, sizeof(cpu));
    buf_printf(&key, "%d|%s|%u|%" PRIx32 "|%u|%s", NODE_SPEED_VERSION, cpu, machine_n_fast_cores(),
               machine_cpu_features(), n_threads, kernels ? kernels : "");
    (void)snprintf(name, sizeof(name), "%016" PRIx64,
                   (uint64_t)XXH64(buf_text(&key), strlen(buf_text(&key)), 0));
    buf_release(&key);
    s = path_join(folder, "speed", speeds, err);
    return s == ST_OK ? path_join(speeds, name, ret_path, err) : s;
}

static enum status take_number(const char *text, const char *line, double *ret, struct err *err)
{
    char *end;
    const double value = strtod(text, &end);

    if (*end != '\0' || end == text)
        return err_set(err, ST_FORMAT, "the line '%.60s' has no number", line);
    *ret = value;
    return ST_OK;
}

static enum status take_line(const char *line, struct node_measure *measure, struct err *err)
{
    struct node_speed *const speeds[N_OWNERS] = { &measure->node, &measure->machine };

    if (strncmp(line, OTHERS, strlen(OTHERS)) == 0)
        return take_number(line + strlen(OTHERS), line, &measure->others, err);
    for (size_t owner = 0; owner < N_OWNERS; owner++) {
        const size_t n_owner = strlen(owners[owner]);

        if (strncmp(line, owners[owner], n_owner) != 0 || line[n_owner] != '.')
            continue;
        for (size_t i = 0; i < NODE_SPEED_FIELDS; i++) {
            const char *name = line + n_owner + 1;
            const size_t n = strlen(node_speed_fields[i].name);

            if (strncmp(name, node_speed_fields[i].name, n) == 0 && name[n] == ' ')
                return take_number(name + n, line, node_speed_at(speeds[owner], i), err);
        }
    }
    return err_set(err, ST_FORMAT, "the line '%.60s' is unknown", line);
}

static enum status check(struct node_measure *measure, struct err *err)
{
    const struct node_speed *const speeds[N_OWNERS] = { &measure->node, &measure->machine };

    for (size_t i = 0; i < N_OWNERS; i++)
        if (!node_speed_is_sane(speeds[i]) || !(speeds[i]->memory_gbs > 0))
            return err_set(err, ST_FORMAT, "its figures are those of no %s", owners[i]);
    if (!(measure->others >= 0 && measure->others <= 1))
        return err_set(err, ST_FORMAT, "it does not say how much of the machine others used");
    return ST_OK;
}

enum status speed_file_read(const char *path, struct node_measure *ret_measure, struct err *err)
{
    struct node_measure measure = { .others = -1 };
    struct buf content = { 0 };
    char head[32];
    char *rest = NULL, *line;
    enum status s = file_read(path, FILE_MAX_BYTES, &content, err);

    if (s != ST_OK)
        goto out;
    (void)snprintf(head, sizeof(head), "pomona speed %d", NODE_SPEED_VERSION);
    buf_putc(&content, '\0');
    line = content.failed ? NULL : strtok_r((char *)content.data, "\n", &rest);
    if (!line || strcmp(line, head) != 0)
        s = err_set(err, ST_FORMAT, "it does not begin with '%s'", head);
    while (s == ST_OK && (line = strtok_r(NULL, "\n", &rest)) != NULL)
        s = take_line(line, &measure, err);
    if (s == ST_OK)
        s = check(&measure, err);
    if (s == ST_OK)
        *ret_measure = measure;
out:
    if (s != ST_OK)
        err_wrap(err, "read the speed of this machine from '%.200s'", path);
    buf_release(&content);
    return s;
}

enum status speed_file_write(const char *path, const struct node_measure *measure, struct err *err)
{
    struct node_speed speeds[N_OWNERS] = { measure->node, measure->machine };
    char folder[PATH_MAX_BYTES];
    struct buf content = { 0 };
    enum status s;

    buf_printf(&content, "pomona speed %d\n" OTHERS "%.6g\n", NODE_SPEED_VERSION, measure->others);
    for (size_t owner = 0; owner < N_OWNERS; owner++)
        for (size_t i = 0; i < NODE_SPEED_FIELDS; i++)
            buf_printf(&content, "%s.%s %.6g\n", owners[owner], node_speed_fields[i].name,
                       *node_speed_at(&speeds[owner], i));
    (void)snprintf(folder, sizeof(folder), "%s", path);
    if (strrchr(folder, '/'))
        *strrchr(folder, '/') = '\0';
    s = path_make(folder, err);
    if (s == ST_OK)
        s = file_replace(path, content.data, content.len, err);
    buf_release(&content);
    return s;
}
