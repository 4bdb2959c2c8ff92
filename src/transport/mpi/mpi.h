/* SPDX-License-Identifier: Apache-2.0 */
/* transport/mpi/mpi.h - ranks that mpirun started, over whatever network Open MPI has.
 *
 * A pair's bytes travel in messages of at most MPI_MESSAGE_BYTES, from and to memory of this
 * transport: a send returns once its bytes are copied, and receives are always under way, so no message is
 * unexpected.  Every wait asks MPI again and again, with longer and longer naps between, and ends
 * at its deadline; MPI itself is never made to wait.
 *
 * A lost rank  mpirun ends the whole job where one rank ends, and each rank's node, which watches
 *              it over the control socket, ends it sooner still; so MPI does not tell of losses, and
 *              check() finds none
 * Security     none: bytes go in clear, as MPI has them
 * Threads      one owner thread, the one that joined
 * Module       libpomona_mpi.so beside the program, or what POMONA_MPI names; built where CMake finds
 *              Open MPI
 */
#ifndef POMONA_TRANSPORT_MPI_MPI_H
#define POMONA_TRANSPORT_MPI_MPI_H

#include "transport/transport.h"

enum {
    MPI_RANKS_MAX = 64,
    MPI_MESSAGE_BYTES = 32 << 10, /* Open MPI sends up to 64 KiB over TCP at once, unasked for */
    MPI_MESSAGES_OUT = 16,        /* of one pair, before send() waits */
    MPI_MESSAGES_IN = 4,
};

struct mpi_join {
    uint32_t rank, n_ranks; /* as the plan has them; those of the job must be the same */
};

/* Join the others.  Waits for them in MPI, which knows no deadline: whoever supervises this process
 * ends it.
 * Errors  ST_UNSUPPORTED  this build has no MPI; ST_RANGE  mpirun gave another rank; ST_PEER;
 *         ST_NOMEM */
enum status mpi_join(const struct mpi_join *join, struct transport **ret_transport,
                     struct err *err);

/* The same over the functions of `module`, lent until the transport is closed. */
struct mpi_module;
enum status mpi_join_by(const struct mpi_module *module, const struct mpi_join *join,
                        struct transport **ret_transport, struct err *err);

/* Errors  ST_UNSUPPORTED  there is no module, or one of another build; the words say what to do */
enum status mpi_load(const struct mpi_module **ret_module, struct err *err);

#endif
