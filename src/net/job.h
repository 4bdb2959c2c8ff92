/* SPDX-License-Identifier: Apache-2.0 */
/* net/job.h - work that would block the loop, done on a thread of its own.
 *
 * Opening files, hashing, resolving names: run() works on a new thread, then
 * done() is called on the loop's thread.  Where the loop is gone by then, drop() is called instead, on
 * any thread: it frees what the job owns, and touches nothing else.  NULL: nothing is freed, as for an
 * owner that waits for its jobs.  Jobs are few and long; there is no pool.  A job cannot be canceled:
 * what it points to must outlive it.
 */
#ifndef POMONA_NET_JOB_H
#define POMONA_NET_JOB_H

#include "base/status.h"
#include "net/loop.h"

/* Errors  ST_NOMEM, ST_FULL (no thread to be had); then none of them is called */
enum status job_start(struct loop *loop, loop_fn *run, loop_fn *done, loop_fn *drop, void *arg,
                      struct err *err);

#endif
