/* SPDX-License-Identifier: Apache-2.0 */
/* transport/mpi/module.h - between the transport (mpi.c) and Open MPI (module.c).
 *
 * What calls MPI is a shared module of its own, so that the program needs no MPI and runs where
 * there is none.  It is loaded when ranks join over it.  Nothing here waits but init().
 *
 * Threads  all functions are called on the one thread that called init()
 * Errors   0, or a negative enum status with words of at most ERR_WORDS_MAX bytes
 */
#ifndef POMONA_TRANSPORT_MPI_MODULE_H
#define POMONA_TRANSPORT_MPI_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Of this header: another number is another module. */
enum { MPI_MODULE_VERSION = 1 };

/* What MPI calls a request, under way or not. */
struct mpi_request {
    unsigned char bytes[sizeof(void *)];
};

struct mpi_module {
    uint32_t version; /* MPI_MODULE_VERSION */

    /* Join the job that mpirun started this process for; waits until all have. */
    int (*init)(uint32_t *ret_rank, uint32_t *ret_n_ranks, char *words);

    /* Begin to send or receive at most [n] bytes, lent until the request is done. */
    int (*send)(uint32_t to, const void *bytes, size_t n, struct mpi_request *ret, char *words);
    int (*recv)(uint32_t from, void *bytes, size_t n, struct mpi_request *ret, char *words);

    /* Whether it is done; ret_n: how many bytes, of one that receives. */
    int (*test)(struct mpi_request *request, bool *ret_is_done, size_t *ret_n, char *words);

    /* Give up one that receives. */
    void (*cancel)(struct mpi_request *request);
};

/* The module's only symbol. */
#define MPI_MODULE_SYMBOL "pomona_mpi_module"
const struct mpi_module *pomona_mpi_module(void);

#endif
