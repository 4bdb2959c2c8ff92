/* SPDX-License-Identifier: Apache-2.0 */
/* transport/inproc/inproc.h - ranks in one process, for pipelines of threads and for tests. */
#ifndef POMONA_TRANSPORT_INPROC_INPROC_H
#define POMONA_TRANSPORT_INPROC_INPROC_H

#include "transport/transport.h"

enum {
    INPROC_RANKS_MAX = 64,
    INPROC_QUEUE_BYTES = 1 << 18, /* on their way between one pair of ranks, before send() waits */
};

/* Make n_ranks joined endpoints.
 * ret_ends  [n_ranks], given; transport_close() each, from the thread that owns it
 * Errors    ST_RANGE, ST_NOMEM */
enum status inproc_new(uint32_t n_ranks, struct transport **ret_ends, struct err *err);

#endif
