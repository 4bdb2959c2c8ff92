/* SPDX-License-Identifier: Apache-2.0 */
/* contract/transport_kind.h - by which way bytes go between the ranks of one instance.
 *
 * Chosen when an instance is made and the same on every rank of it; tokens do not depend on it.
 *   tcp   a TCP connection for each pair, under TLS where the cluster has a key; nodes start their
 *         runners themselves
 *   mpi   Open MPI: the node of rank 0 has mpirun start a runner on each node, over SSH
 *         (cluster/supervise/mpirun.c); bytes go in clear
 *   ring  MLX's own ring for the sums of a team whose members all have the engine 'mlx', in clear; all
 *         else as tcp
 */
#ifndef POMONA_CONTRACT_TRANSPORT_KIND_H
#define POMONA_CONTRACT_TRANSPORT_KIND_H

#include "base/status.h"

enum transport_kind {
    TRANSPORT_TCP, /* the default */
    TRANSPORT_MPI,
    TRANSPORT_RING,
    N_TRANSPORT_KINDS,
};

/* "tcp"; never NULL for a kind of the list above. */
const char *transport_kind_name(enum transport_kind kind);

/* The kind of that name; NULL and "" are the default.
 * Errors  ST_RANGE  there is none; the words name those there are */
enum status transport_kind_find(const char *name, enum transport_kind *ret_kind, struct err *err);

#endif
