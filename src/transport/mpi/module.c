/* SPDX-License-Identifier: Apache-2.0 */
/* transport/mpi/module.c - the few functions of MPI that the transport needs.
 *
 * MPI_Finalize() is not called: it waits for all ranks without a deadline, and a runner ends when
 * its node says so, whatever the others do.
 * Source: MPI 3.1, sections 3.7 (nonblocking), 8.7 (start), 12.4 (threads)
 */
#include "transport/mpi/module.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(MPI_Request) <= sizeof(struct mpi_request), "a request fits into its place");

enum { TAG_ROWS = 1 };

static MPI_Request request_of(const struct mpi_request *from)
{
    MPI_Request request;

    memcpy(&request, from->bytes, sizeof(request));
    return request;
}

static void keep(MPI_Request request, struct mpi_request *ret)
{
    memcpy(ret->bytes, &request, sizeof(request));
}

static int answer(int code, char *words)
{
    char what[MPI_MAX_ERROR_STRING] = "";
    int n;

    if (code == MPI_SUCCESS)
        return ST_OK;
    (void)MPI_Error_string(code, what, &n);
    (void)snprintf(words, ERR_WORDS_MAX, "MPI: %.300s", what);
    return ST_PEER;
}

static int init(uint32_t *ret_rank, uint32_t *ret_n_ranks, char *words)
{
    int provided, rank = 0, n_ranks = 0;
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);

    if (code == MPI_SUCCESS)
        code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (code == MPI_SUCCESS)
        code = MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    *ret_rank = (uint32_t)rank;
    *ret_n_ranks = (uint32_t)n_ranks;
    return answer(code, words);
}

static int send(uint32_t to, const void *bytes, size_t n, struct mpi_request *ret, char *words)
{
    MPI_Request request = MPI_REQUEST_NULL;
    const int code = n > INT_MAX ? MPI_ERR_COUNT
                                 : MPI_Isend(bytes, (int)n, MPI_BYTE, (int)to, TAG_ROWS,
                                             MPI_COMM_WORLD, &request);

    keep(request, ret);
    return answer(code, words);
}

static int recv(uint32_t from, void *bytes, size_t n, struct mpi_request *ret, char *words)
{
    MPI_Request request = MPI_REQUEST_NULL;
    const int code = n > INT_MAX ? MPI_ERR_COUNT
                                 : MPI_Irecv(bytes, (int)n, MPI_BYTE, (int)from, TAG_ROWS,
                                             MPI_COMM_WORLD, &request);

    keep(request, ret);
    return answer(code, words);
}

static int test(struct mpi_request *at, bool *ret_is_done, size_t *ret_n, char *words)
{
    MPI_Request request = request_of(at);
    MPI_Status status;
    int is_done = 0, n = 0;
    int code = MPI_Test(&request, &is_done, &status);

    keep(request, at);
    if (code == MPI_SUCCESS && is_done)
        code = MPI_Get_count(&status, MPI_BYTE, &n);
    *ret_is_done = code == MPI_SUCCESS && is_done;
    *ret_n = *ret_is_done && n > 0 ? (size_t)n : 0;
    return answer(code, words);
}

static void cancel(struct mpi_request *at)
{
    MPI_Request request = request_of(at);

    if (request == MPI_REQUEST_NULL)
        return;
    (void)MPI_Cancel(&request);
    (void)MPI_Request_free(&request);
    keep(MPI_REQUEST_NULL, at);
}

static const struct mpi_module module = { MPI_MODULE_VERSION, init, send, recv, test, cancel };

const struct mpi_module *pomona_mpi_module(void)
{
    return &module;
}
