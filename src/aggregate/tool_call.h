/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/tool_call.h - one call of a function, read from text that is still growing.
 *
 * Pure: looks at text and says what it is so far.  The owner gives it out and
 * drops it.
 *
 *   HEAD (until the name is known) --> ARGUMENTS (given out as they come) --> TAIL (until it closes)
 */
#ifndef POMONA_AGGREGATE_TOOL_CALL_H
#define POMONA_AGGREGATE_TOOL_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "text/speech_format.h"

enum tool_call_at { CALL_HEAD, CALL_ARGUMENTS, CALL_TAIL };

struct tool_call {
    enum tool_call_at at;
    unsigned depth; /* of brackets, in arguments or tail */
    bool in_string, is_escaped;
    bool has_object; /* arguments are a member of an object that ends after them */
};

enum tool_head {
    HEAD_MORE,  /* more text is needed */
    HEAD_BEGUN, /* name is known, arguments begin at `used` */
    HEAD_WHOLE, /* name and arguments are known, the call ends before `used` */
    HEAD_NONE,  /* this is no call */
};

/* Read the beginning.  ret_name and ret_arguments are appended to: the name in the first two cases,
 * the arguments with HEAD_WHOLE.  is_last: no more text will come. */
enum tool_head tool_call_head(struct tool_call *c, const struct tool_format *format,
                              const json_t *functions, const char *text, size_t n, bool is_last,
                              struct buf *ret_name, struct buf *ret_arguments, size_t *ret_used);

/* How many bytes of `text` are arguments; *ret_complete: they end there. */
size_t tool_call_arguments(struct tool_call *c, const char *text, size_t n, bool *ret_complete);

/* What follows arguments: how many bytes belong to the call.  *ret_complete: it ends there;
 * *ret_again: in a list, and another begins there. */
size_t tool_call_tail(struct tool_call *c, const struct tool_format *format, const char *text,
                      size_t n, bool is_last, bool *ret_complete, bool *ret_again);

#endif
