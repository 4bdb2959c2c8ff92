/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/chat_events.h - what an upstream answers to a chat, as deltas of a reply: for dialects other than chat's.
 *
 * Read is what servers of OpenAI's API send: text, `reasoning_content` or `reasoning`, calls by index with their arguments
 * in pieces or at once, a finish reason, and usage in the last event or in each.  A call that goes on
 * after the next one began is an error, as no dialect could be told of it in order.
 *
 *   chat_events_feed()... chat_events_finish()      a stream
 *   chat_events_whole()   chat_events_finish()      an answer that was not streamed, though it was to be
 *
 * Threads  the caller's; no state is shared
 * Source   OpenAI API reference, "Chat completions", its streaming events; WHATWG HTML, section 9.2
 */
#ifndef POMONA_FLOW_UPSTREAM_CHAT_EVENTS_H
#define POMONA_FLOW_UPSTREAM_CHAT_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "contract/reply.h"

struct chat_events;
typedef void chat_delta_fn(void *arg, const struct reply_delta *delta);

/* n_choices  how many answers were asked for
 * Errors     ST_NOMEM */
enum status chat_events_new(size_t n_choices, chat_delta_fn *fn, void *arg,
                            struct chat_events **ret_events, struct err *err);
void chat_events_free(struct chat_events *events); /* NULL is allowed */

/* Whole events [n]: fn is called for what they bring.
 * Errors  ST_PEER    the upstream says that it failed; its words
 *         ST_FORMAT  this is no chat's */
enum status chat_events_feed(struct chat_events *events, const char *bytes, size_t n,
                             struct err *err);

/* Errors  as chat_events_feed() */
enum status chat_events_whole(struct chat_events *events, const char *body, size_t n,
                              struct err *err);

/* No more comes: choices that were not ended are now. */
void chat_events_finish(struct chat_events *events);

/* As the upstream said; where it did not, prompt_tokens is 0 and completion_tokens what was seen. */
struct reply_usage chat_events_usage(const struct chat_events *events);

#endif
