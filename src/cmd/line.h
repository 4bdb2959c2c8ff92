/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/line.h - one line from standard input, or Ctrl-C, whichever comes first.
 *
 * SIGINT is counted while catching.  Waiting for a line lets the signal in
 * only inside pselect(2), so one that arrives just before the wait is not
 * lost; one that the system hands to another thread is passed on to the main one.
 *
 * Threads  the main thread; one reader in a process
 */
#ifndef POMONA_CMD_LINE_H
#define POMONA_CMD_LINE_H

#include <signal.h>
#include <stddef.h>

enum { LINE_MAX_BYTES = 1 << 16 };

struct line_reader {
    char bytes[LINE_MAX_BYTES + 1]; /* read, and not yet given out */
    size_t n;
    size_t n_given; /* of the line that was given out last, its end included */
};

enum line_outcome { LINE_READ, LINE_ENDED, LINE_INTERRUPTED };

/* Interrupts since they were last set to 0; lent for the process's life. */
volatile sig_atomic_t *line_interrupts(void);

/* Count SIGINT from now on instead of dying of it. */
void line_catch_interrupts(void);

/* Wait for a line, without a deadline: a person types it.
 * ret_line  its text without its end, lent until the next call; set for LINE_READ only.
 *           A line longer than LINE_MAX_BYTES comes in parts */
enum line_outcome line_read(struct line_reader *reader, const char **ret_line);

#endif
