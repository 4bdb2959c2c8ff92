/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/events.h - a stream of server-sent events, cut where an event ends.
 *
 * Events are not parsed, but looked through for what a gateway has to know: whether the first is an error, how many
 * there were, that the last one came, and how many tokens a Pomona's answer is at.
 *
 * Pure. Source: WHATWG HTML, section 9.2, for lines that end in LF or CRLF.
 */
#ifndef POMONA_FLOW_UPSTREAM_EVENTS_H
#define POMONA_FLOW_UPSTREAM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many of the bytes [n] are whole events. */
size_t events_whole(const char *bytes, size_t n);

struct events_seen {
    uint64_t n_events;      /* with data */
    uint64_t resume_tokens; /* 0: not said */
    bool is_done;           /* "[DONE]" came */
    bool has_error;         /* an event is an error's */
};

/* Note what whole events [n] say. */
void events_look(struct events_seen *seen, const char *bytes, size_t n);

#endif
