/* SPDX-License-Identifier: Apache-2.0 */
/* contract/trace.c - which request something is done for. */
#include "contract/trace.h"

bool trace_context_is_set(const struct trace_context *context)
{
    uint8_t all = 0;

    for (unsigned i = 0; i < TRACE_ID_BYTES; i++)
        all |= context->trace_id[i];
    return all != 0;
}
