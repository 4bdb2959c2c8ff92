/* SPDX-License-Identifier: Apache-2.0 */
/* contract/request.c - defaults and words of a request. */
#include "contract/request.h"

void sampling_init(struct sampling *s)
{
    *s = (struct sampling){
        .temperature = 1.0f,
        .top_p = 1.0f,
        .repetition_penalty = 1.0f,
    };
}

const char *finish_reason_word(enum finish_reason reason)
{
    switch (reason) {
    case FINISH_NONE: return NULL;
    case FINISH_STOP: return "stop";
    case FINISH_LENGTH: return "length";
    case FINISH_CANCELED: return "cancelled";
    case FINISH_TOOL_CALLS: return "tool_calls";
    }
    return NULL;
}
