/* SPDX-License-Identifier: Apache-2.0 */
/* flow/count.h - what a request came to is counted, whoever answered it.
 *
 * Threads  any
 */
#ifndef POMONA_FLOW_COUNT_H
#define POMONA_FLOW_COUNT_H

#include "contract/reply.h"

void flow_count_finish(enum finish_reason finish); /* of one choice */

/* It was answered, and asked for at begun_ns of clock_ns(). */
void flow_count_end(const struct reply_usage *usage, uint64_t begun_ns);

void flow_count_failure(int http_status);

#endif
