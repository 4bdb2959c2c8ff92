/* SPDX-License-Identifier: Apache-2.0 */
/* contract/transport_kind.c - the names of transports. */
#include "contract/transport_kind.h"

#include <string.h>

static const char *const names[N_TRANSPORT_KINDS] = {
    [TRANSPORT_TCP] = "tcp",
    [TRANSPORT_MPI] = "mpi",
    [TRANSPORT_RING] = "ring",
};

const char *transport_kind_name(enum transport_kind kind)
{
    return names[kind];
}

enum status transport_kind_find(const char *name, enum transport_kind *ret_kind, struct err *err)
{
    if (!name || !*name)
        name = names[TRANSPORT_TCP];
    for (unsigned i = 0; i < N_TRANSPORT_KINDS; i++)
        if (strcmp(names[i], name) == 0) {
            *ret_kind = (enum transport_kind)i;
            return ST_OK;
        }
    return err_set(err, ST_RANGE, "no transport '%s'; there are: %s, %s, %s", name,
                   names[TRANSPORT_TCP], names[TRANSPORT_MPI], names[TRANSPORT_RING]);
}
