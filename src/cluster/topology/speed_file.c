/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/speed_file.c - what was measured of this machine, kept for the next start.
 *
 *   pomona speed 1
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

static enum status take_line(const char *line, struct node_speed *speeds, struct err *err)
{
    for (size_t owner = 0; owner < N_OWNERS; owner++) {
        const size_t n_owner = strlen(owners[owner]);

        if (strncmp(line, owners[owner], n_owner) != 0 || line[n_owner] != '.')
            continue;
        for (size_t i = 0; i < NODE_SPEED_FIELDS; i++) {
            const char *name = line + n_owner + 1;
            const size_t n = strlen(node_speed_fields[i].name);
            char *end;

            if (strncmp(name, node_speed_fields[i].name, n) != 0 || name[n] != ' ')
                continue;
            *node_speed_at(&speeds[owner], i) = strtod(name + n, &end);
            return *end == '\0' && end != name + n
                       ? ST_OK
                       : err_set(err, ST_FORMAT, "the line '%.60s' has no number", line);
        }
    }
    return err_set(err, ST_FORMAT, "the line '%.60s' is unknown", line);
}

enum status speed_file_read(const char *path, struct node_speed *ret_speed,
                            struct node_speed *ret_machine, struct err *err)
{
    struct node_speed speeds[N_OWNERS] = { 0 };
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
        s = take_line(line, speeds, err);
    for (size_t i = 0; i < N_OWNERS && s == ST_OK; i++)
        if (!node_speed_is_sane(&speeds[i]) || !(speeds[i].memory_gbs > 0))
            s = err_set(err, ST_FORMAT, "its figures are those of no %s", owners[i]);
    if (s != ST_OK)
        goto out;
    *ret_speed = speeds[0];
    *ret_machine = speeds[1];
out:
    if (s != ST_OK)
        err_wrap(err, "read the speed of this machine from '%.200s'", path);
    buf_release(&content);
    return s;
}

enum status speed_file_write(const char *path, const struct node_speed *speed,
                             const struct node_speed *machine, struct err *err)
{
    struct node_speed speeds[N_OWNERS] = { *speed, *machine };
    char folder[PATH_MAX_BYTES];
    struct buf content = { 0 };
    enum status s;

    buf_printf(&content, "pomona speed %d\n", NODE_SPEED_VERSION);
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
