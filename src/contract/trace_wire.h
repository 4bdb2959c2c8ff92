/* SPDX-License-Identifier: Apache-2.0 */
/* contract/trace_wire.h - the ids of a trace, and what was done for it, as messages of runner.proto. */
#ifndef POMONA_CONTRACT_TRACE_WIRE_H
#define POMONA_CONTRACT_TRACE_WIRE_H

#include "contract/runner.pb-c.h"
#include "contract/trace.h"

/* ret_ids points into `context`, which has to live as long. */
void trace_to_wire(struct trace_context *context, Wire__TraceIds *ret_ids);

/* Of ids that are none, or NULL, it is not set. */
void trace_of_wire(const Wire__TraceIds *ids, struct trace_context *ret_context);

/* Copy an id that a log may show: letters, digits, ".", "_" and "-"; any other becomes "".
 * ret_id  [TRACE_REQUEST_MAX] */
void trace_take_request_id(const char *id, char *ret_id);

/* ret_work and ret_ids point into `work`. */
void work_to_wire(struct work_span *work, Wire__TraceIds *ret_ids, Wire__ShardWork *ret_work);

/* False: no runner of this version sends that. */
bool work_of_wire(const Wire__ShardWork *wire, struct work_span *ret_work);

#endif
