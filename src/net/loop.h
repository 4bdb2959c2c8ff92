/* SPDX-License-Identifier: Apache-2.0 */
/* net/loop.h - one event loop, its timers and its signals.
 *
 * A thin owner of a libevent base: whoever needs more asks loop_base() and
 * uses libevent itself.
 *
 * Threads  one owner thread runs the loop; loop_post() and loop_stop() may be
 *          called from any thread
 */
#ifndef POMONA_NET_LOOP_H
#define POMONA_NET_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct loop;
typedef void loop_fn(void *arg);

enum status loop_new(struct loop **ret_loop, struct err *err);
void loop_free(
    struct loop *loop); /* after its users; NULL is allowed.  What is posted yet is not run */

struct event_base *loop_base(struct loop *loop); /* lent until loop_free() */

/* Run until loop_stop(). */
enum status loop_run(struct loop *loop, struct err *err);
void loop_stop(struct loop *loop);

/* Run fn(arg) on the loop's thread, in the order posted.
 * Errors  ST_NOMEM */
enum status loop_post(struct loop *loop, loop_fn *fn, void *arg);

/* For a thread of its own that may outlive the loop: it posts through a hold, once, which that gives up. */
struct loop_hold;
enum status loop_hold(struct loop *loop, struct loop_hold **ret_hold); /* ST_NOMEM */
/* As loop_post().  Any thread.  drop (NULL: none) is for when the loop goes before it gets to fn: then that is
 * called instead, here or in loop_free().
 * Errors  ST_CANCELED the loop is gone; ST_NOMEM, and neither was called */
enum status loop_hold_post(struct loop_hold *hold, loop_fn *fn, loop_fn *drop, void *arg);
void loop_hold_free(struct loop_hold *hold); /* without posting; the loop's thread */

/* A timer; armed with loop_timer_set(), once or every `ms`. */
struct loop_timer;
enum status loop_timer_new(struct loop *loop, loop_fn *fn, void *arg,
                           struct loop_timer **ret_timer);
void loop_timer_once(struct loop_timer *timer, uint64_t ms);
void loop_timer_every(struct loop_timer *timer, uint64_t ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_set(
    const struct loop_timer *timer); /* false after setting it, too: there was no memory */
void loop_timer_free(struct loop_timer *timer); /* NULL is allowed */

/* fn(arg) on the loop's thread whenever signal `number` arrives. */
enum status loop_on_signal(struct loop *loop, int number, loop_fn *fn, void *arg, struct err *err);

#endif
