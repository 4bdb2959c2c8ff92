/* SPDX-License-Identifier: Apache-2.0 */
/* execute/collective.h - sums over the members of a team.
 *
 * Everybody adds the members' rows in the order of ranks, so all have the same bits, whichever
 * way the rows went:
 *
 *   one round    each sends its rows to each, and adds all
 *   two rounds   each is sent one part of all rows, adds those, and sends the sums to all
 *
 * Rows are sent in a format of contract/sum_format.h.  One round is fewer waits, two are fewer bytes: 2 (n - 1) / n of the rows instead of n - 1.  Sums of
 * many bytes over three members or more take two.
 *
 * Threads  the transport's owner
 * Memory   nothing is allocated after collective_new()
 * Source   two rounds: reduce-scatter and allgather, Thakur et al. 2005,
 *          doi:10.1177/1094342005051521, sections 3 and 4.5
 */
#ifndef POMONA_EXECUTE_COLLECTIVE_H
#define POMONA_EXECUTE_COLLECTIVE_H

#include "contract/sum_format.h"
#include "transport/transport.h"

struct collective;

struct collective_options {
    struct transport *ring;         /* borrowed, until collective_free() */
    uint32_t first_rank, n_members; /* ranks first_rank.. of it, this one among them */
    uint64_t deadline_ms;           /* a sum that waits longer for a member is ST_DEADLINE */
    enum sum_format format;         /* the same on all members */
};

/* ret_collective  given; release with collective_free()
 * Errors          ST_RANGE  this rank is no member; ST_NOMEM */
enum status collective_new(const struct collective_options *options,
                           struct collective **ret_collective, struct err *err);
void collective_free(struct collective *collective); /* NULL is allowed */

/* rows [n_floats] become the sums.  All members call it with the same n_floats, in the same order;
 * for struct engine_options: arg is the struct collective.
 * Errors  as transport_exchange(); then the instance is over */
enum status collective_sum(void *arg, float *rows, size_t n_floats, struct err *err);

#endif
