/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_chat_events.c - any bytes as what an upstream answers to a chat. */
#include <stdint.h>
#include <stdlib.h>

#include "flow/upstream/chat_events.h"
#include "flow/upstream/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

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
