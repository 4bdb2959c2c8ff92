/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/reports.h - what the computing thread tells the event-loop thread. */
#ifndef POMONA_EXECUTE_RUNNER_REPORTS_H
#define POMONA_EXECUTE_RUNNER_REPORTS_H

#include <stdlib.h>

#include "contract/shard_progress.h"
#include "contract/trace.h"
#include "execute/driver.h"
#include "execute/runner/assignment.h"
#include "execute/runner/batch.h"
#include "transport/transport.h"

enum report_kind {
    REPORT_PROGRESS, /* progress */
    REPORT_FETCHED,  /* the shard's part of the file is here */
    REPORT_READY,    /* weight_bytes, kv_bytes, load_seconds, kernels */
    REPORT_LOAD,     /* load */
    REPORT_TOKENS,   /* batch */
    REPORT_REFUSED,  /* gateway, id, why */
    REPORT_WORK,     /* work */
    REPORT_FAILED,   /* why, cut: the last report */
};

struct report {
    enum report_kind kind;
    struct shard_progress progress;
    uint64_t weight_bytes, kv_bytes;
    double load_seconds;
    char kernels[RUNNER_KERNELS_MAX];
    struct driver_load load;
    struct batch *batch;    /* owned */
    struct work_span *work; /* owned, free() */
    uint64_t gateway, id;
    struct err why;
    struct transport_cut cut; /* what broke the ring, where that was a cut link */
};

/* Where reports go: a copy of `report` travels to the loop's thread; what it
 * owns is taken.  Any thread. */
struct reporter {
    void (*send)(void *arg, const struct report *report);
    void *arg;
};

static inline void report_send(const struct reporter *to, const struct report *report)
{
    to->send(to->arg, report);
}

/* Without memory it is not told. */
static inline void report_work(const struct reporter *to, const struct work_span *work)
{
    struct report report = { .kind = REPORT_WORK, .work = malloc(sizeof(*work)) };

    if (!report.work)
        return;
    *report.work = *work;
    report_send(to, &report);
}

#endif
