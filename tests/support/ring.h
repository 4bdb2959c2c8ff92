/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/ring.h - joined ranks of either transport, inside one test process. */
#ifndef POMONA_TESTS_SUPPORT_RING_H
#define POMONA_TESTS_SUPPORT_RING_H

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "transport/inproc/inproc.h"
#include "transport/tcp/tcp.h"

enum { RING_RANKS_MAX = 8 };

struct ring_joiner {
    struct tcp_listener *listener;
    struct tcp_join join;
    struct transport *transport;
    struct err err;
    enum status status;
};

static inline void *ring_join_thread(void *arg)
{
    struct ring_joiner *j = arg;

    j->status = tcp_join(j->listener, &j->join, deadline_after_ms(10000), &j->transport, &j->err);
    return NULL;
}

/* Two keys of rings under TLS; lent for the life of the process. */
static inline struct tls *ring_tls(int which)
{
    static struct tls *all[2];
    struct cluster_key key = { { 1, (uint8_t)which } };

    (void)signal(SIGPIPE, SIG_IGN); /* as every process that uses TLS */
    if (!all[which])
        (void)tls_new(&key, TLS_ROWS, &all[which], NULL);
    return all[which];
}

/* tls  NULL: in clear */
static inline enum status ring_tcp(uint32_t n_ranks, struct tls *tls, struct transport **ret_ends,
                                   struct err *err)
{
    struct ring_joiner joiners[RING_RANKS_MAX] = { { .status = ST_OK } };
    struct tcp_endpoint ranks[RING_RANKS_MAX];
    pthread_t threads[RING_RANKS_MAX];
    enum status s = ST_OK;

    for (uint32_t i = 0; i < n_ranks; i++) {
        s = tcp_listen("127.0.0.1", &joiners[i].listener, err);
        if (s != ST_OK)
            return s;
        ranks[i] = (struct tcp_endpoint){ .host = "127.0.0.1",
                                          .port = tcp_listener_port(joiners[i].listener) };
        joiners[i].join =
            (struct tcp_join){ .rank = i, .n_ranks = n_ranks, .ranks = ranks, .tls = tls };
        memset(joiners[i].join.key, 0x5a, TCP_KEY_BYTES);
    }
    for (uint32_t i = 0; i < n_ranks; i++)
        if (pthread_create(&threads[i], NULL, ring_join_thread, &joiners[i]) != 0)
            return err_set(err, ST_FULL, "a thread");
    for (uint32_t i = 0; i < n_ranks; i++) {
        pthread_join(threads[i], NULL);
        tcp_listener_close(joiners[i].listener);
        ret_ends[i] = joiners[i].transport;
        if (joiners[i].status != ST_OK)
            s = err_set(err, joiners[i].status, "%s", joiners[i].err.words);
    }
    return s;
}

/* type: "inproc", "tcp" or "tls". */
static inline enum status ring_new(const char *type, uint32_t n_ranks, struct transport **ret_ends,
                                   struct err *err)
{
    if (strcmp(type, "tcp") == 0)
        return ring_tcp(n_ranks, NULL, ret_ends, err);
    if (strcmp(type, "tls") == 0)
        return ring_tcp(n_ranks, ring_tls(0), ret_ends, err);
    return inproc_new(n_ranks, ret_ends, err);
}

#endif
