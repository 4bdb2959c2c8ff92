/* SPDX-License-Identifier: Apache-2.0 */
/* base/status.h - the one error vocabulary of the whole tree.
 *
 * A function that can fail returns enum status: ST_OK (0) or a negative code
 * the caller can act on.  Words for humans travel in an optional struct err,
 * always the last parameter; NULL means "I do not need the words".
 * Library folders fill it and never print.  Only cmd/ and flow/ log.
 */
#ifndef POMONA_BASE_STATUS_H
#define POMONA_BASE_STATUS_H

#define STATUS_MAP(X)                                                                              \
    X(ST_OK, 0, "success")                                                                         \
    X(ST_NOMEM, -1, "out of memory")                                                               \
    X(ST_IO, -2, "input/output error")                                                             \
    X(ST_FORMAT, -3, "malformed data")                                                             \
    X(ST_RANGE, -4, "value out of range")                                                          \
    X(ST_NOTFOUND, -5, "not found")                                                                \
    X(ST_FULL, -6, "capacity exhausted, retry later")                                              \
    X(ST_DEADLINE, -7, "deadline passed")                                                          \
    X(ST_PEER, -8, "peer unavailable")                                                             \
    X(ST_CANCELED, -9, "canceled by caller")                                                       \
    X(ST_UNSUPPORTED, -10, "not supported")                                                        \
    X(ST_DENIED, -11, "not allowed")

enum status {
#define X(name, code, words) name = (code),
    STATUS_MAP(X)
#undef X
};

enum { ERR_WORDS_MAX = 512 }; /* bytes, terminator included */

struct err {
    enum status status;
    char words[ERR_WORDS_MAX]; /* complete sentence, no newline */
};

/* Fixed English text of `s`; never NULL, never freed. */
const char *status_words(enum status s);

/* A number from outside (a wire message, an exit status) as a status;
 * ST_IO for one this build does not know. */
enum status status_from_code(int code);

/* Store and return `s`, so that `return err_set(err, ST_FORMAT, ...)` reads
 * as one thought.  `err` may be NULL. */
enum status err_set(struct err *err, enum status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set() with ST_IO, appending the text of errno. */
enum status err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prefix the words already stored: "load model: open 'x': no such file". */
void err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
