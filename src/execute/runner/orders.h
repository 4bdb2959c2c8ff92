/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/orders.h - what the event-loop thread asks of the computing thread.
 *
 * A queue in order of arrival.  Generations and cancels are bounded: they
 * come from outside.  What the node or a connection's end causes is always
 * taken: there is one of each at most.
 *
 * Threads  any puts; one takes
 */
#ifndef POMONA_EXECUTE_RUNNER_ORDERS_H
#define POMONA_EXECUTE_RUNNER_ORDERS_H

#include "contract/request.h"
#include "execute/runner/assignment.h"
#include "text/grammar/run.h"

enum { ORDERS_MAX = 4096 };

enum order_kind {
    ORDER_ASSIGN,         /* assignment */
    ORDER_FAIL,           /* why: the node asked for something that cannot be */
    ORDER_CONNECT,        /* endpoints */
    ORDER_SUBMIT,         /* gateway, id, sequence, asked_ns, generation */
    ORDER_CANCEL,         /* gateway, id */
    ORDER_CANCEL_GATEWAY, /* gateway: it is gone */
    ORDER_COMPILED,       /* grammar; run, or why there is none: the scribe's */
};

struct order {
    enum order_kind kind;
    uint64_t gateway, id;
    uint32_t sequence;
    uint64_t asked_ns;             /* when it came: clock_ns() */
    struct generation *generation; /* owned; generation_free() */
    struct assignment *assignment; /* owned */
    struct endpoints *endpoints;   /* owned */
    char *grammar;                 /* owned */
    struct grammar_run *run;       /* owned */
    struct err why;
    struct order *next;
};

struct orders;

enum status orders_new(struct orders **ret_orders, struct err *err);
void orders_free(struct orders *orders); /* NULL is allowed; frees what is queued */

/* Queue a copy of `order`; what it owns is taken, also on error.
 * Errors  ST_FULL ORDERS_MAX generations and cancels wait; ST_NOMEM */
enum status orders_put(struct orders *orders, const struct order *order);

/* Everything queued, oldest first; waits for the first until `deadline_ns`.
 * NULL when it passed.  Given: order_free() each. */
struct order *orders_take(struct orders *orders, uint64_t deadline_ns);
struct order *orders_take_one(struct orders *orders, uint64_t deadline_ns); /* the oldest alone */
void order_free(struct order *order);

#endif
