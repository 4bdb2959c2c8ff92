/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/reading.h - bodies that take long to read are read beside the loop.
 *
 *   on the loop  up to READ_ON_LOOP_MAX bytes that hold the answer to no form
 *   beside it    on one of two threads: one for long bodies, so that they do not hold up the short ones
 *                whose grammar has to be compiled
 *
 * Read means: JSON, then the dialect's parse().  In order of arrival on each thread.
 *
 * Threads  the loop's, but for what is said of choose
 */
#ifndef POMONA_GATEWAY_READING_H
#define POMONA_GATEWAY_READING_H

#include "gateway/dialect/dialect.h"
#include "gateway/http/exchange.h"
#include "net/loop.h"

enum { READ_ON_LOOP_MAX = 16 << 10, READ_LONG = 256 << 10 };

struct readers;

/* Who may be asked for an answer in another dialect than the body's. */
enum answerers { CLUSTER_ALONE, UPSTREAMS_TOO };

/* What a body came to. */
struct reading {
    const char *path; /* of an address that others may answer; NULL: it is answered here */
    enum answerers answerers;
    const struct dialect *dialect;                       /* NULL: choose() says it */
    const struct dialect *(*choose)(const json_t *body); /* any thread */

    json_t *body; /* NULL: it is no JSON object; lent during done() */
    struct api_request
        request; /* parsed where status is ST_OK; done() may take it: api_request_init() */
    enum status status;
    struct api_error failure;
};

/* done  called on the loop's thread, unless the client left before
 * Errors  ST_NOMEM */
enum status readers_new(struct loop *loop,
                        void (*done)(void *arg, struct exchange *x, struct reading *r), void *arg,
                        struct readers **ret_readers, struct err *err);

/* The loop does not run any more.  NULL is allowed. */
void readers_free(struct readers *readers);

/* Must this body be read beside the loop?  body: NULL while it is not known. */
bool reading_takes_long(size_t n_bytes, const json_t *body);

/* Read the body of `x` beside the loop.  how: copied; with its `body` where that is known: taken.
 * request in it is prepared, but for what parse() fills in; taken. */
void readers_read(struct readers *readers, struct exchange *x, const struct reading *how);

bool readers_are_idle(const struct readers *readers);

#endif
