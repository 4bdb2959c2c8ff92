/* SPDX-License-Identifier: Apache-2.0 */
/* net/job.h - work that would block the loop, done on a thread of its own.
 *
 * Opening files, hashing, resolving names: run() works on a new thread, then
 * done() is called on the loop's thread, unless the loop is gone.  Jobs are few and long; there is
 * no pool.  A job cannot be canceled: what it points to must outlive it.
 */
#ifndef POMONA_NET_JOB_H
#define POMONA_NET_JOB_H

#include "base/status.h"
#include "net/loop.h"

/* Errors  ST_NOMEM, ST_FULL (no thread to be had); then neither is called */
enum status job_start(struct loop *loop, loop_fn *run, loop_fn *done, void *arg, struct err *err);

#endif
