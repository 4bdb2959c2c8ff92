/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_answer.h - reads one answer of HTTP/1.1 from a server, as its bytes come.
 *
 *   line --> fields --empty line--> HTTP_ANSWER_HEAD --> body: HTTP_ANSWER_PIECE ... --> HTTP_ANSWER_END
 *      \________\______________________________________\______ HTTP_ANSWER_WRONG
 *
 * Interim answers (1xx) are passed over.  Refused is what could be read in two ways: two lengths that differ, codings
 * but chunked, folded lines, a protocol that was switched to.  The request was GET or POST.
 *
 * Pure: no clock, no socket.
 * Threads  the owner's
 * Source   RFC 9112, sections 4 to 7
 */
#ifndef POMONA_NET_HTTP_ANSWER_H
#define POMONA_NET_HTTP_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "net/http_client.h"

enum {
    HTTP_ANSWER_HEAD_MAX = 64 << 10, /* bytes of a head, interim answers before it included */
    HTTP_ANSWER_LINE_MAX = 8 << 10,  /* of a chunk's size with its extensions, and of trailers */
};

enum http_answer_step {
    HTTP_ANSWER_MORE, /* all bytes were taken */
    HTTP_ANSWER_HEAD, /* `head` is complete */
    HTTP_ANSWER_PIECE,
    HTTP_ANSWER_END,
    HTTP_ANSWER_WRONG,
};

enum http_answer_reading { /* what comes next; private */
                           ANSWER_IN_LINE,
                           ANSWER_IN_FIELDS,
                           ANSWER_IN_BODY,
                           ANSWER_IN_CHUNK_SIZE,
                           ANSWER_IN_CHUNK,
                           ANSWER_IN_CHUNK_END,
                           ANSWER_IN_TRAILER,
                           ANSWER_UNTIL_CLOSED,
                           ANSWER_AT_END,
                           ANSWER_AT_FAULT,
};

struct http_answer {
    struct http_answer_head head; /* from HTTP_ANSWER_HEAD on */
    bool is_kept;                 /* at HTTP_ANSWER_END: the connection may carry another */

    /* private */
    enum http_answer_reading reading;
    struct buf line; /* the beginning of one, from bytes before */
    size_t n_head;   /* bytes of lines so far */
    uint64_t n_left; /* of the body, or of the chunk */
    bool has_length, is_chunked;
};

void http_answer_init(struct http_answer *a);
void http_answer_release(struct http_answer *a);

/* Read on.  *ret_taken: how many bytes belong to what the step says.
 * ret_piece  with HTTP_ANSWER_PIECE: bytes of the body [*ret_n_piece], within `bytes` */
enum http_answer_step http_answer_feed(struct http_answer *a, const char *bytes, size_t n,
                                       size_t *ret_taken, const char **ret_piece,
                                       size_t *ret_n_piece);

/* The connection ended: HTTP_ANSWER_END where that is how this answer ends, else HTTP_ANSWER_WRONG. */
enum http_answer_step http_answer_closed(struct http_answer *a);

/* Nothing of an answer was read yet. */
bool http_answer_is_fresh(const struct http_answer *a);

#endif
