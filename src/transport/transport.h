/* SPDX-License-Identifier: Apache-2.0 */
/* transport/transport.h - bytes between the ranks of one instance.
 *
 * Every rank can send to and receive from every other; order is kept for a
 * pair of ranks.  A wait ends at its deadline; a peer that is gone is
 * ST_PEER at once.  After any error the transport is broken for good: the
 * instance is thrown away.
 *
 * Threads  one owner thread
 */
#ifndef POMONA_TRANSPORT_TRANSPORT_H
#define POMONA_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/hosts.h"
#include "base/status.h"

struct transport;

/* What is to go to a rank and to come from it at one time; what is left of it, while it does. */
struct transport_swap {
    uint32_t with;
    const unsigned char *out; /* [n_out] */
    size_t n_out;
    unsigned char *in; /* [n_in] */
    size_t n_in;
};

/* To add one: a folder under transport/ with a const struct transport_type
 * and a function that makes it. */
struct transport_type {
    const char *name; /* "tcp", "inproc" */

    /* Send all [n] bytes.  Returns once they are on their way; blocks only
     * while the peer's buffers are full. */
    enum status (*send)(struct transport *t, uint32_t to, const void *bytes, size_t n,
                        uint64_t deadline_ns, struct err *err);

    /* Receive exactly [n] bytes. */
    enum status (*recv)(struct transport *t, uint32_t from, void *ret_bytes, size_t n,
                        uint64_t deadline_ns, struct err *err);

    /* Send and receive all of `all` [n], each with another rank: none waits for another, so
     * ranks that exchange with one another may do so with any number of bytes.  `all` is used up. */
    enum status (*exchange)(struct transport *t, struct transport_swap *all, size_t n,
                            uint64_t deadline_ns, struct err *err);

    /* ST_PEER where a peer is gone.  Never waits: for a rank that has nothing to do. */
    enum status (*check)(struct transport *t, struct err *err);

    void (*close)(struct transport *t); /* peers see ST_PEER */
};

/* A link that let nothing through, though the other machine may live: for whoever plans anew. */
struct transport_cut {
    bool is_known;
    uint32_t rank;      /* at its other end */
    struct hosts hosts; /* that rank's addresses that were tried */
};

/* Every transport object starts with this. */
struct transport {
    const struct transport_type *type;
    uint32_t rank, n_ranks;
    struct transport_cut cut; /* what broke it, where that was a cut link */
    uint64_t waited_ns;       /* in recv and exchange so far: for others, and for what they sent */
};

static inline enum status transport_send(struct transport *t, uint32_t to, const void *bytes,
                                         size_t n, uint64_t deadline_ns, struct err *err)
{
    return t->type->send(t, to, bytes, n, deadline_ns, err);
}

static inline enum status transport_recv(struct transport *t, uint32_t from, void *ret_bytes,
                                         size_t n, uint64_t deadline_ns, struct err *err)
{
    const uint64_t begin_ns = clock_ns();
    const enum status s = t->type->recv(t, from, ret_bytes, n, deadline_ns, err);

    t->waited_ns += clock_ns() - begin_ns;
    return s;
}

static inline enum status transport_exchange(struct transport *t, struct transport_swap *all,
                                             size_t n, uint64_t deadline_ns, struct err *err)
{
    const uint64_t begin_ns = clock_ns();
    const enum status s = t->type->exchange(t, all, n, deadline_ns, err);

    t->waited_ns += clock_ns() - begin_ns;
    return s;
}

static inline enum status transport_check(struct transport *t, struct err *err)
{
    return t->type->check(t, err);
}

static inline void transport_close(struct transport *t) /* NULL is allowed */
{
    if (t)
        t->type->close(t);
}

#endif
