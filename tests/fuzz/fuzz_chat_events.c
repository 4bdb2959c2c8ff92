/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_chat_events.c - any bytes as what an upstream answers to a chat. */
#include <stdint.h>
#include <stdlib.h>

#include "base/size.h"
#include "drive.h"
#include "flow/upstream/chat_events.h"
#include "flow/upstream/events.h"

static const char *const texts[] = {
    ("data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Once\"}}]}\n\n"
     "data: {\"choices\":[{\"index\":1,\"delta\":{\"reasoning_content\":\"so\"}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n"
     "data: [DONE]\n\n"),
    ("data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":"
     "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
     "\"1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n"),
    ("{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Once\"},\"finish_reason\":"
     "\"length\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}"),
    "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\"}}\n\n",
};
const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static void take(void *arg, const struct reply_delta *delta)
{
    size_t *n_ended = arg;

    if (delta->choice >= 2 || (delta->n_text > 0 && !delta->text))
        abort();
    *n_ended += delta->finish != FINISH_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *text = (const char *)bytes;
    const size_t n_whole = events_whole(text, n);
    struct chat_events *events;
    size_t n_ended = 0;
    struct err err;

    if (chat_events_new(2, take, &n_ended, &events, &err) != ST_OK)
        abort();
    if (chat_events_feed(events, text, n_whole, &err) == ST_OK)
        (void)chat_events_whole(events, text + n_whole, n - n_whole, &err);
    chat_events_finish(events);
    if (n_ended != 2)
        abort();
    chat_events_free(events);
    return 0;
}
