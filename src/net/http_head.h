/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_head.h - reads requests of HTTP/1.1 ahead of the server: bounds, and no second meaning.
 *
 * evhttp shows a request when its body is here, and takes some lines that others read in another way.
 * This machine sees the same bytes first, strictly: what it takes has one meaning (RFC 9112), its header
 * can be judged before the body comes, and where it ends is known.  It keeps the header, not the body.
 *
 *   line --CRLF--> fields --empty line--> HTTP_HEAD --body--> HTTP_END --http_head_next()--> line
 *      \______________\______________________\______ HTTP_WRONG: `fault` says why
 *
 * Refused beyond what RFC 9112 says: bare LF, folded lines, chunk extensions and trailers, transfer codings
 * but chunked, targets but paths and http URLs, a second Content-Length even if it says the same.
 *
 * Pure: no clock, no socket.
 * Threads  the owner's
 */
#ifndef POMONA_NET_HTTP_HEAD_H
#define POMONA_NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Why a request is refused before it is answered: name, HTTP status, what the client is told. */
#define HTTP_FAULT_MAP(X)                                                                          \
    X(HTTP_FINE, 200, "")                                                                          \
    X(HTTP_MALFORMED, 400, "The request is not well-formed HTTP/1.1.")                             \
    X(HTTP_HOST, 400, "A request of HTTP/1.1 has one Host header.")                                \
    X(HTTP_LENGTHS, 400, "The request gives the length of its body more than once.")               \
    X(HTTP_LENGTH, 400, "The Content-Length is not a number.")                                     \
    X(HTTP_CHUNK, 400, "The chunks of the body are malformed, or have extensions or trailers.")    \
    X(HTTP_LATE, 408, "The request did not arrive in time.")                                       \
    X(HTTP_BODY_LONG, 413, "The body is longer than is taken here.")                               \
    X(HTTP_URL_LONG, 414, "The URL is longer than is taken here.")                                 \
    X(HTTP_EXPECTATION, 417, "The header Expect asks for what is not done here.")                  \
    X(HTTP_CROWDED, 429, "This address has too many connections; use them again.")                 \
    X(HTTP_HEADER_LONG, 431, "The header is longer than is taken here, or has more lines.")        \
    X(HTTP_METHOD, 501, "This method is not known here.")                                          \
    X(HTTP_CODING, 501, "Of transfer codings, chunked alone is taken here.")                       \
    X(HTTP_NO_MEMORY, 503, "There is no memory for this request.")                                 \
    X(HTTP_VERSION, 505, "HTTP/1.1 and HTTP/1.0 are spoken here.")

enum http_fault {
#define X(name, status, words) name,
    HTTP_FAULT_MAP(X)
#undef X
};

int http_fault_status(enum http_fault fault);
const char *http_fault_words(enum http_fault fault);

struct http_bounds {
    size_t header_bytes, header_lines, url_bytes;
    uint64_t body_bytes;
};

enum http_step { HTTP_MORE, HTTP_HEAD, HTTP_END, HTTP_WRONG };

enum http_reading { /* what comes next; private */
                    HTTP_IN_LINE,
                    HTTP_IN_FIELDS,
                    HTTP_IN_BODY,
                    HTTP_IN_CHUNK_SIZE,
                    HTTP_IN_CHUNK,
                    HTTP_IN_CHUNK_END,
                    HTTP_IN_TRAILER,
                    HTTP_AT_END,
                    HTTP_AT_FAULT,
};

struct http_head {
    /* from HTTP_HEAD on */
    const char *method, *path; /* lent until http_head_next(); the path without its query */
    bool is_1_0;
    bool is_chunked;
    bool has_body;         /* something is to come after the header */
    bool drops_body;       /* with has_body: evhttp takes no body with this method */
    uint64_t n_length;     /* of the body, where it is not in chunks */
    enum http_fault fault; /* with HTTP_WRONG */

    /* private */
    struct http_bounds bounds;
    enum http_reading reading;
    struct buf text;  /* "METHOD\0path\0", "name\0value\0"..., then the line that comes in */
    size_t line_at;   /* where that begins */
    size_t fields_at; /* where the first name is */
    size_t n_bytes, n_lines;
    uint64_t n_left; /* of the body, or of the chunk */
    uint64_t n_body;
    unsigned n_digits;
};

/* bounds  copied */
void http_head_init(struct http_head *h, const struct http_bounds *bounds);
void http_head_release(struct http_head *h);

/* Read on.  *ret_n: how many bytes belong to what the answer says; those after them are not looked at.
 * After HTTP_HEAD ask again, with the rest or with nothing. */
enum http_step http_head_feed(struct http_head *h, const char *bytes, size_t n, size_t *ret_n);

/* Bytes of a body need not be looked at: the same without them. */
bool http_head_is_passing(const struct http_head *h);
enum http_step http_head_pass(struct http_head *h, size_t n, size_t *ret_n);

/* After HTTP_END: another request comes. */
void http_head_next(struct http_head *h);

/* Nothing of a request was read yet. */
bool http_head_is_fresh(const struct http_head *h);
bool http_head_is_in_body(const struct http_head *h);

/* Value of the first header of this name, in any case of letters; NULL: there is none. */
const char *http_head_find(const struct http_head *h, const char *name);
size_t http_head_count(const struct http_head *h, const char *name);

#endif
