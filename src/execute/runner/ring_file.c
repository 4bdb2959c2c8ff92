/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/ring_file.c - where the members of a team find one another for MLX's own ring. */
#include "execute/runner/ring_file.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/run_folder.h"

enum status ring_file_write(const struct assignment *a, const struct endpoints *endpoints,
                            struct collective *sums, char *ret_path, struct err *err)
{
    const uint32_t first = a->lineup.first[lineup_team(&a->lineup, a->rank)];
    char name[INSTANCE_ID_MAX + 32];
    struct buf text = { 0 };
    float here = 1;
    enum status s;

    if (!sums || strcmp(a->engine, "mlx") != 0)
        return err_set(
            err, ST_UNSUPPORTED,
            "MLX's ring sums over a team of nodes that all serve with --engine mlx: place "
            "with --strategy tensor, or without --transport ring");
    /* Once all are here nobody listens where the ring will: it would be answered by the wrong one. */
    s = collective_sum(sums, &here, 1, err);
    if (s != ST_OK)
        return s;
    (void)snprintf(name, sizeof(name), "%s.%u.ring", a->instance_id, a->rank);
    for (uint32_t i = 0; i < a->n_shares; i++)
        buf_printf(&text, "%s[\"%s:%u\"]", i > 0 ? "," : "[", endpoints->host[first + i],
                   endpoints->ranks[first + i].port);
    buf_puts(&text, "]\n");
    s = run_path(name, ret_path, err);
    if (s == ST_OK)
        s = buf_status(&text);
    if (s == ST_OK)
        s = file_replace(ret_path, text.data, text.len, err);
    buf_release(&text);
    return s;
}
