/* SPDX-License-Identifier: Apache-2.0 */
/* flow/encoding.h - a request's prompts become tokens, its functions a grammar; long ones on a thread of their own.
 *
 * A text of megabytes takes seconds, and so may the schemas of many functions.  On the loop they would be seconds
 * without a beat to the peers, who would take this node for dead.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_ENCODING_H
#define POMONA_FLOW_ENCODING_H

#include "flow/flow_priv.h"

enum {
    ENCODE_INLINE_MAX = 64 << 10, /* bytes of a body that are encoded at once: milliseconds */
    CALLS_INLINE_MAX = 8 << 10,   /* the same, where its functions become a grammar */
    ENCODINGS_MAX = 64,           /* jobs at the same time */
};

/* The flow goes while a job encodes for it: the job keeps what it reads. */
void encoding_leave(struct flow *f);

#endif
