/* SPDX-License-Identifier: Apache-2.0 */
/* trace/work.h - what a runner did for a request, as a span. */
#ifndef POMONA_TRACE_WORK_H
#define POMONA_TRACE_WORK_H

#include "trace/span.h"

/* Name, times and attributes.  NULL is allowed. */
void work_describe(const struct work_span *work, struct span *span);

#endif
