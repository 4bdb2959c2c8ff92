/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/transport/test_mpi.c - what transport.h promises, of ranks that a real mpirun started.
 *
 * Without ranks yet the program has mpirun start it three times, on this machine; each rank then does its part
 * of each test, and mpirun fails where one of them does.
 */
#include "support/check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "transport/mpi/mpi.h"

enum { N_RANKS = 3, LARGE_BYTES = 3 << 20, WITHIN_MS = 60000 };

static struct transport *end; /* of this rank */

static enum status say(uint32_t to, const char *text)
{
    return transport_send(end, to, text, strlen(text), deadline_after_ms(WITHIN_MS), NULL);
}

static void hear(uint32_t from, const char *want)
{
    char text[16] = "";

    assert_int_equal(
        transport_recv(end, from, text, strlen(want), deadline_after_ms(WITHIN_MS), NULL), ST_OK);
    assert_string_equal(text, want);
}

/* Whatever the cuts: messages are nobody's business. */
static void bytes_arrive_in_order_for_each_pair(void **state)
{
    (void)state;
    if (end->rank == 0) {
        assert_int_equal(say(2, "abc"), ST_OK);
        assert_int_equal(say(2, "def"), ST_OK);
    } else if (end->rank == 1) {
        assert_int_equal(say(2, "xyz"), ST_OK);
    } else {
        hear(1, "xyz");
        hear(0, "a");
        hear(0, "bcde");
        hear(0, "f");
    }
}

static unsigned char byte_of(uint32_t from, size_t i)
{
    return (unsigned char)(i * 31 >> (3 + from));
}

static void all_ranks_may_exchange_more_than_their_buffers_hold(void **state)
{
    unsigned char *out = malloc(LARGE_BYTES), *in = malloc((size_t)N_RANKS * LARGE_BYTES);
    struct transport_swap all[N_RANKS];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < LARGE_BYTES; i++)
        out[i] = byte_of(end->rank, i);
    for (uint32_t k = 0; k < N_RANKS; k++)
        if (k != end->rank)
            all[n++] = (struct transport_swap){ k, out, LARGE_BYTES, in + (size_t)k * LARGE_BYTES,
                                                LARGE_BYTES };
    assert_int_equal(transport_exchange(end, all, n, deadline_after_ms(WITHIN_MS), NULL), ST_OK);
    for (uint32_t k = 0; k < N_RANKS; k++)
        for (size_t i = 0; k != end->rank && i < LARGE_BYTES; i++)
            if (in[(size_t)k * LARGE_BYTES + i] != byte_of(k, i))
                fail_msg("byte %zu of rank %u is wrong", i, k);
    free(out);
    free(in);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    struct err err = { 0 };
    char byte;

    (void)state;
    assert_int_equal(
        transport_recv(end, (end->rank + 1) % N_RANKS, &byte, 1, deadline_after_ms(30), &err),
        ST_DEADLINE);
    assert_non_null(strstr(err.words, "did not answer in time"));
    assert_int_equal(transport_check(end, NULL), ST_OK);
}

static void there_is_no_rank_beyond_the_last_and_none_is_its_own_peer(void **state)
{
    (void)state;
    assert_int_equal(say(N_RANKS, "x"), ST_RANGE);
    assert_int_equal(say(end->rank, "x"), ST_RANGE);
}

/* Else mpirun takes the end of a rank for a failure. */
static void finalize(void)
{
    void *symbol = dlsym(RTLD_DEFAULT, "MPI_Finalize");
    int (*function)(void);

    if (!symbol)
        abort();
    memcpy(&function, &symbol, sizeof(symbol));
    (void)function();
}

static int run_under_mpirun(char *self)
{
    char n[] = "3";

    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    (void)setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    (void)execlp("mpirun", "mpirun", "--oversubscribe", "--bind-to", "none", "-np", n, self, NULL);
    perror("mpirun cannot be started: install openmpi-bin");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    struct mpi_join join = { .n_ranks = N_RANKS };
    struct err err = { 0 };
    int n_failed;

    (void)argc;
    if (!rank)
        return run_under_mpirun(argv[0]);
    join.rank = (uint32_t)strtoul(rank, NULL, 10);
    if (mpi_join(&join, &end, &err) != ST_OK) {
        (void)fprintf(stderr, "rank %u does not join: %s\n", join.rank, err.words);
        return EXIT_FAILURE;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_in_order_for_each_pair),
        cmocka_unit_test(all_ranks_may_exchange_more_than_their_buffers_hold),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(there_is_no_rank_beyond_the_last_and_none_is_its_own_peer),
    };
    n_failed = cmocka_run_group_tests_name("transport/mpi", tests, NULL, NULL);
    transport_close(end);
    if (n_failed == 0)
        finalize(); /* waits for the others */
    return n_failed;
}
