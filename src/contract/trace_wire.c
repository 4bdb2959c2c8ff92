/* SPDX-License-Identifier: Apache-2.0 */
/* contract/trace_wire.c - the ids of a trace, and what was done for it, as messages. */
#include "contract/trace_wire.h"

#include <ctype.h>
#include <string.h>

void trace_to_wire(struct trace_context *context, Wire__TraceIds *ret_ids)
{
    wire__trace_ids__init(ret_ids);
    ret_ids->trace_id = (ProtobufCBinaryData){ TRACE_ID_BYTES, context->trace_id };
    ret_ids->span_id = (ProtobufCBinaryData){ TRACE_SPAN_BYTES, context->span_id };
    ret_ids->is_sampled = context->is_sampled;
}

void trace_of_wire(const Wire__TraceIds *ids, struct trace_context *ret_context)
{
    struct trace_context c = { 0 };

    if (ids && ids->trace_id.len == TRACE_ID_BYTES && ids->span_id.len == TRACE_SPAN_BYTES) {
        memcpy(c.trace_id, ids->trace_id.data, TRACE_ID_BYTES);
        memcpy(c.span_id, ids->span_id.data, TRACE_SPAN_BYTES);
        c.is_sampled = ids->is_sampled != 0;
    }
    *ret_context = trace_context_is_set(&c) ? c : (struct trace_context){ 0 };
}

void trace_take_request_id(const char *id, char *ret_id)
{
    const size_t n = strnlen(id, TRACE_REQUEST_MAX);

    memset(ret_id, 0, TRACE_REQUEST_MAX);
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)id[i]) && !strchr("._-", id[i]))
            return;
    }
    if (n < TRACE_REQUEST_MAX)
        memcpy(ret_id, id, n);
}

void work_to_wire(struct work_span *work, Wire__TraceIds *ret_ids, Wire__ShardWork *ret_work)
{
    trace_to_wire(&work->parent, ret_ids);
    wire__shard_work__init(ret_work);
    ret_work->kind = work->kind;
    ret_work->trace = ret_ids;
    ret_work->request_id = work->request_id;
    ret_work->begin_ns = work->begin_ns;
    ret_work->end_ns = work->end_ns;
    ret_work->rank = work->rank;
    ret_work->choice = work->choice;
    ret_work->n_tokens = work->n_tokens;
    ret_work->n_cached_tokens = work->n_cached_tokens;
    ret_work->n_steps = work->n_steps;
    ret_work->busy_ns = work->busy_ns;
    ret_work->is_canceled = work->is_canceled;
    ret_work->has_failed = work->has_failed;
}

bool work_of_wire(const Wire__ShardWork *wire, struct work_span *ret_work)
{
    if (wire->kind > WORK_STEPS || wire->end_ns < wire->begin_ns)
        return false;
    *ret_work = (struct work_span){
        .kind = (enum work_kind)wire->kind,
        .begin_ns = wire->begin_ns,
        .end_ns = wire->end_ns,
        .rank = wire->rank,
        .choice = wire->choice,
        .n_tokens = wire->n_tokens,
        .n_cached_tokens = wire->n_cached_tokens,
        .n_steps = wire->n_steps,
        .busy_ns = wire->busy_ns,
        .is_canceled = wire->is_canceled != 0,
        .has_failed = wire->has_failed != 0,
    };
    trace_of_wire(wire->trace, &ret_work->parent);
    trace_take_request_id(wire->request_id, ret_work->request_id);
    return trace_context_is_set(&ret_work->parent);
}
