/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/transport/test_transports.c - what transport.h promises, of every transport. */
#include "support/check.h"

#include <pthread.h>
#include <stdlib.h>

#include "support/ring.h"

enum { N_RANKS = 3, LARGE_BYTES = 6 << 20 };

struct fixture {
    const char *type;
    struct transport *ends[N_RANKS];
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = { 0 };

    f->type = *state;
    if (ring_new(f->type, N_RANKS, f->ends, &err) != ST_OK) {
        print_error("%s\n", err.words);
        return -1;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < N_RANKS; i++)
        transport_close(f->ends[i]);
    free(f);
    return 0;
}

static void bytes_arrive_in_order_for_each_pair(void **state)
{
    struct fixture *f = *state;
    char text[8] = { 0 };

    assert_int_equal(transport_send(f->ends[0], 2, "abc", 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_int_equal(transport_send(f->ends[1], 2, "xyz", 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_int_equal(transport_send(f->ends[0], 2, "def", 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_int_equal(transport_recv(f->ends[2], 1, text, 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_string_equal(text, "xyz");
    assert_int_equal(transport_recv(f->ends[2], 0, text, 4, deadline_after_ms(1000), NULL), ST_OK);
    assert_string_equal(text, "abcd");
    assert_int_equal(transport_recv(f->ends[2], 0, text, 2, deadline_after_ms(1000), NULL), ST_OK);
    assert_memory_equal(text, "ef", 2);
}

static void *send_large(void *arg)
{
    struct transport *t = arg;
    unsigned char *bytes = malloc(LARGE_BYTES);
    enum status s;

    for (size_t i = 0; i < LARGE_BYTES; i++)
        bytes[i] = (unsigned char)(i * 31 >> 3);
    s = transport_send(t, 1, bytes, LARGE_BYTES, deadline_after_ms(20000), NULL);
    free(bytes);
    return s == ST_OK ? arg : NULL;
}

static void more_than_the_buffers_hold_gets_through(void **state)
{
    struct fixture *f = *state;
    unsigned char *bytes = malloc(LARGE_BYTES);
    pthread_t sender;
    void *sent;

    assert_int_equal(pthread_create(&sender, NULL, send_large, f->ends[0]), 0);
    assert_int_equal(
        transport_recv(f->ends[1], 0, bytes, LARGE_BYTES, deadline_after_ms(20000), NULL), ST_OK);
    pthread_join(sender, &sent);
    assert_non_null(sent);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        if (bytes[i] != (unsigned char)(i * 31 >> 3))
            fail_msg("byte %zu is wrong", i);
    free(bytes);
}

struct swapping {
    struct transport *end;
    unsigned char *out, *in; /* [N_RANKS][LARGE_BYTES] */
    enum status status;
};

static void *swap_all(void *arg)
{
    struct swapping *s = arg;
    struct transport_swap all[N_RANKS];
    size_t n = 0;

    for (uint32_t i = 0; i < N_RANKS; i++)
        if (i != s->end->rank)
            all[n++] = (struct transport_swap){ i, s->out + (size_t)i * LARGE_BYTES, LARGE_BYTES,
                                                s->in + (size_t)i * LARGE_BYTES, LARGE_BYTES };
    s->status = transport_exchange(s->end, all, n, deadline_after_ms(60000), NULL);
    return NULL;
}

/* Everybody sends more than the buffers hold before anybody could have received. */
static void all_ranks_exchange_large_messages_at_one_time(void **state)
{
    struct fixture *f = *state;
    struct swapping all[N_RANKS];
    pthread_t threads[N_RANKS];

    for (uint32_t i = 0; i < N_RANKS; i++) {
        all[i] = (struct swapping){ f->ends[i], malloc((size_t)N_RANKS * LARGE_BYTES),
                                    calloc(N_RANKS, LARGE_BYTES), ST_IO };
        for (size_t k = 0; k < (size_t)N_RANKS * LARGE_BYTES; k++)
            all[i].out[k] = (unsigned char)(k * 7 + 100 * i + k / LARGE_BYTES);
        assert_int_equal(pthread_create(&threads[i], NULL, swap_all, &all[i]), 0);
    }
    for (uint32_t i = 0; i < N_RANKS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < N_RANKS; i++) {
        assert_int_equal(all[i].status, ST_OK);
        for (uint32_t k = 0; k < N_RANKS; k++)
            if (k != i)
                assert_memory_equal(all[i].in + (size_t)k * LARGE_BYTES,
                                    all[k].out + (size_t)i * LARGE_BYTES, LARGE_BYTES);
    }
    for (uint32_t i = 0; i < N_RANKS; i++) {
        free(all[i].out);
        free(all[i].in);
    }
}

static void an_exchange_ends_at_its_deadline_and_with_a_lost_rank(void **state)
{
    struct fixture *f = *state;
    unsigned char bytes[4] = "abc", got[4];
    struct transport_swap one = { 1, bytes, sizeof(bytes), got, sizeof(got) };

    assert_int_equal(transport_exchange(f->ends[0], &one, 1, deadline_after_ms(30), NULL),
                     ST_DEADLINE);
    one = (struct transport_swap){ 1, bytes, sizeof(bytes), got, sizeof(got) };
    transport_close(f->ends[2]);
    f->ends[2] = NULL;
    assert_int_equal(transport_exchange(f->ends[0], &one, 1, deadline_after_ms(20000), NULL),
                     ST_PEER);
    one.with = N_RANKS;
    assert_int_equal(transport_exchange(f->ends[0], &one, 1, deadline_after_ms(30), NULL),
                     ST_RANGE);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    const uint64_t start = clock_ns();
    unsigned char *bytes = calloc(1, LARGE_BYTES);
    char byte;

    assert_int_equal(transport_recv(f->ends[0], 1, &byte, 1, deadline_after_ms(30), NULL),
                     ST_DEADLINE);
    assert_true(clock_ns() - start >= 29 * NS_PER_MS);
    assert_int_equal(transport_send(f->ends[0], 1, bytes, LARGE_BYTES, deadline_after_ms(30), NULL),
                     ST_DEADLINE); /* nobody reads */
    free(bytes);
}

static void *close_it(void *arg)
{
    transport_close(arg);
    return NULL;
}

static void losing_any_rank_ends_a_wait_for_another(void **state)
{
    struct fixture *f = *state;
    const uint64_t start = clock_ns();
    pthread_t closer;
    struct err err;
    char byte;

    assert_int_equal(transport_check(f->ends[0], &err), ST_OK);
    assert_int_equal(pthread_create(&closer, NULL, close_it, f->ends[2]), 0);
    f->ends[2] = NULL;
    assert_int_equal(transport_recv(f->ends[0], 1, &byte, 1, deadline_after_ms(20000), &err),
                     ST_PEER);
    assert_string_equal(err.words, "rank 2 is gone");
    assert_true(clock_ns() - start < 5 * NS_PER_S);
    pthread_join(closer, NULL);
    assert_int_equal(transport_check(f->ends[1], &err), ST_PEER);
}

static void what_was_sent_before_the_end_is_still_received(void **state)
{
    struct fixture *f = *state;
    char text[4] = { 0 };

    assert_int_equal(transport_send(f->ends[2], 0, "end", 3, deadline_after_ms(1000), NULL), ST_OK);
    transport_close(f->ends[2]);
    f->ends[2] = NULL;
    assert_int_equal(transport_recv(f->ends[0], 2, text, 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_string_equal(text, "end");
    assert_int_equal(transport_recv(f->ends[0], 2, text, 1, deadline_after_ms(1000), NULL),
                     ST_PEER);
}

static void waiting_data_of_another_rank_is_no_end(void **state)
{
    struct fixture *f = *state;
    char text[4] = { 0 };

    assert_int_equal(transport_send(f->ends[2], 0, "hey", 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_int_equal(transport_check(f->ends[0], NULL), ST_OK);
    assert_int_equal(transport_recv(f->ends[0], 1, text, 1, deadline_after_ms(30), NULL),
                     ST_DEADLINE);
    assert_int_equal(transport_recv(f->ends[0], 2, text, 3, deadline_after_ms(1000), NULL), ST_OK);
    assert_string_equal(text, "hey");
}

static void sending_to_a_rank_that_is_gone_is_an_error_not_a_signal(void **state)
{
    struct fixture *f = *state;
    enum status s = ST_OK;

    transport_close(f->ends[1]);
    f->ends[1] = NULL;
    for (int i = 0; i < 1000 && s == ST_OK; i++)
        s = transport_send(f->ends[0], 1, "x", 1, deadline_after_ms(1000), NULL);
    assert_int_equal(s, ST_PEER);
}

#define CASE(name, type)                                                                           \
    {                                                                                              \
#name " (" type ")", name, set_up, tear_down, (void *)(uintptr_t)type                      \
    }
#define EACH(name) CASE(name, "inproc"), CASE(name, "tcp"), CASE(name, "tls")

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(bytes_arrive_in_order_for_each_pair),
        EACH(more_than_the_buffers_hold_gets_through),
        EACH(all_ranks_exchange_large_messages_at_one_time),
        EACH(an_exchange_ends_at_its_deadline_and_with_a_lost_rank),
        EACH(a_wait_ends_at_its_deadline),
        EACH(losing_any_rank_ends_a_wait_for_another),
        EACH(what_was_sent_before_the_end_is_still_received),
        EACH(waiting_data_of_another_rank_is_no_end),
        EACH(sending_to_a_rank_that_is_gone_is_an_error_not_a_signal),
    };

    return cmocka_run_group_tests_name("transport", tests, NULL, NULL);
}
