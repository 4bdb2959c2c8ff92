/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_out.h - text into a line of bounded length, so that no byte of it is more than text.
 *
 * What does not fit as a whole is not put, and is_full says so; the last LOG_OUT_TAIL bytes of the
 * line are kept for what has to end it (log_out_end()).
 */
#ifndef POMONA_BASE_LOG_OUT_H
#define POMONA_BASE_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>

enum { LOG_OUT_TAIL = 32 };

struct log_out {
    char *bytes;
    size_t used, capacity;
    bool is_full;
};

enum log_style {
    LOG_STYLE_PLAIN,  /* control characters become blanks */
    LOG_STYLE_QUOTED, /* they, quotes and backslashes are escaped as in JSON */
};

void log_out_put(struct log_out *out, const char *text);
void log_out_bytes(struct log_out *out, const char *bytes, size_t n);
void log_out_end(struct log_out *out, const char *text);

/* `text` up to `max_bytes`, with "..." where more follows.  What is not UTF-8 becomes U+FFFD. */
void log_out_text(struct log_out *out, enum log_style style, const char *text, size_t max_bytes);

#endif
