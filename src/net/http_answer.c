/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_answer.c - reads one answer of HTTP/1.1 from a server, as its bytes come. */
#include "net/http_answer.h"

#include <string.h>
#include <strings.h>

enum { SECONDS_MAX = 100000, CHUNK_MAX = 1 << 30 };

static const uint64_t LENGTH_MAX = UINT64_C(1) << 50;

void http_answer_init(struct http_answer *a)
{
    const struct buf line = a->line;

    *a = (struct http_answer){ .line = line };
    buf_clear(&a->line);
}

void http_answer_release(struct http_answer *a)
{
    buf_release(&a->line);
}

bool http_answer_is_fresh(const struct http_answer *a)
{
    return a->reading == ANSWER_IN_LINE && a->n_head == 0;
}

static enum http_answer_step wrong(struct http_answer *a)
{
    a->reading = ANSWER_AT_FAULT;
    return HTTP_ANSWER_WRONG;
}

struct text {
    const char *at;
    size_t n;
};

static bool is(struct text t, const char *word)
{
    return t.n == strlen(word) && strncasecmp(t.at, word, t.n) == 0;
}

static struct text trimmed(struct text t)
{
    while (t.n > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.n--;
    }
    while (t.n > 0 && (t.at[t.n - 1] == ' ' || t.at[t.n - 1] == '\t'))
        t.n--;
    return t;
}

/* Is `word` one of a list with commas? RFC 9110, section 5.6.1 */
static bool lists(struct text t, const char *word)
{
    while (t.n > 0) {
        const char *comma = memchr(t.at, ',', t.n);
        const size_t n = comma ? (size_t)(comma - t.at) : t.n;

        if (is(trimmed((struct text){ t.at, n }), word))
            return true;
        t.at += comma ? n + 1 : n;
        t.n -= comma ? n + 1 : n;
    }
    return false;
}

/* Decimal digits and nothing else, below `max`; false: it is none. */
static bool number(struct text t, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < t.n; i++) {
        if (t.at[i] < '0' || t.at[i] > '9' || n >= max)
            return false;
        n = n * 10 + (uint64_t)(t.at[i] - '0');
    }
    *ret = n;
    return t.n > 0 && n < max;
}

/* What it begins with: a date is none. */
static struct text digits_of(struct text t)
{
    size_t n = 0;

    while (n < t.n && t.at[n] >= '0' && t.at[n] <= '9')
        n++;
    return (struct text){ t.at, n };
}

/* RFC 9112, section 4: HTTP/1.x SP 3DIGIT SP words. */
static bool status_line(struct http_answer *a, struct text t)
{
    uint64_t status;

    if (t.n < 12 || memcmp(t.at, "HTTP/1.", 7) != 0 || (t.at[7] != '1' && t.at[7] != '0') ||
        t.at[8] != ' ' || !number((struct text){ t.at + 9, 3 }, 1000, &status) || status < 100 ||
        (t.n > 12 && t.at[12] != ' '))
        return false;
    a->head = (struct http_answer_head){ .status = (int)status };
    a->is_kept = t.at[7] == '1';
    a->has_length = a->is_chunked = false;
    a->n_left = 0;
    return status != 101; /* nobody asked for another protocol */
}

static bool length_field(struct http_answer *a, struct text value)
{
    uint64_t n;

    if (!number(value, LENGTH_MAX, &n) || (a->has_length && n != a->n_left))
        return false;
    a->has_length = true;
    a->n_left = n;
    return true;
}

static bool field(struct http_answer *a, struct text t)
{
    const char *colon = memchr(t.at, ':', t.n);
    struct text name = { t.at, colon ? (size_t)(colon - t.at) : 0 }, value;
    uint64_t n;

    if (name.n == 0 || t.at[0] == ' ' || t.at[0] == '\t' || name.at[name.n - 1] == ' ' ||
        name.at[name.n - 1] == '\t' || memchr(t.at, '\0', t.n))
        return false;
    value = trimmed((struct text){ colon + 1, t.n - name.n - 1 });
    if (is(name, "content-length"))
        return length_field(a, value);
    if (is(name, "transfer-encoding")) {
        if (a->is_chunked || !is(value, "chunked"))
            return false;
        a->is_chunked = true;
    } else if (is(name, "connection")) {
        if (lists(value, "close"))
            a->is_kept = false;
        else if (lists(value, "keep-alive"))
            a->is_kept = true;
    } else if (is(name, "content-type") && value.n < sizeof(a->head.type)) {
        memcpy(a->head.type, value.at, value.n);
        a->head.type[value.n] = '\0';
    } else if (is(name, "retry-after") && number(digits_of(value), SECONDS_MAX, &n)) {
        a->head.retry_after_s = (uint32_t)n;
    }
    return true;
}

/* RFC 9112, section 6.3: how long the body is. */
static enum http_answer_step end_of_head(struct http_answer *a)
{
    const int status = a->head.status;

    if (status < 200) {
        a->reading = ANSWER_IN_LINE;
        return HTTP_ANSWER_MORE;
    }
    if (a->is_chunked && a->has_length)
        a->is_kept = false;
    if (status == 204 || status == 304) {
        a->reading = ANSWER_AT_END;
    } else if (a->is_chunked) {
        a->reading = ANSWER_IN_CHUNK_SIZE;
    } else if (a->has_length) {
        a->reading = a->n_left > 0 ? ANSWER_IN_BODY : ANSWER_AT_END;
    } else {
        a->reading = ANSWER_UNTIL_CLOSED;
        a->is_kept = false;
    }
    a->n_head = 0;
    return HTTP_ANSWER_HEAD;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 9112, section 7.1: hexadecimal digits; extensions are passed over. */
static bool chunk_size(struct http_answer *a, struct text t)
{
    size_t i = 0;

    a->n_left = 0;
    for (; i < t.n && hex(t.at[i]) >= 0; i++) {
        a->n_left = a->n_left * 16 + (uint64_t)hex(t.at[i]);
        if (a->n_left > CHUNK_MAX)
            return false;
    }
    a->reading = a->n_left > 0 ? ANSWER_IN_CHUNK : ANSWER_IN_TRAILER;
    a->n_head = 0;
    return i > 0 && (i == t.n || t.at[i] == ';' || t.at[i] == ' ' || t.at[i] == '\t');
}

static enum http_answer_step take_line(struct http_answer *a, struct text t)
{
    bool is_fine = true;

    switch (a->reading) {
    case ANSWER_IN_LINE:
        is_fine = status_line(a, t);
        a->reading = ANSWER_IN_FIELDS;
        break;
    case ANSWER_IN_FIELDS:
        if (t.n == 0)
            return end_of_head(a);
        is_fine = field(a, t);
        break;
    case ANSWER_IN_CHUNK_SIZE: is_fine = chunk_size(a, t); break;
    case ANSWER_IN_CHUNK_END:
        is_fine = t.n == 0;
        a->reading = ANSWER_IN_CHUNK_SIZE;
        break;
    case ANSWER_IN_TRAILER:
        if (t.n == 0)
            a->reading = ANSWER_AT_END;
        break;
    case ANSWER_IN_BODY:
    case ANSWER_IN_CHUNK:
    case ANSWER_UNTIL_CLOSED:
    case ANSWER_AT_END:
    case ANSWER_AT_FAULT: is_fine = false; break;
    }
    return is_fine ? HTTP_ANSWER_MORE : wrong(a);
}

/* A line, if its end is here: read where it lies, or put together with what came before. */
static enum http_answer_step feed_line(struct http_answer *a, const char *bytes, size_t n,
                                       size_t *ret_taken)
{
    const bool is_head = a->reading == ANSWER_IN_LINE || a->reading == ANSWER_IN_FIELDS;
    const char *end = n > 0 ? memchr(bytes, '\n', n) : NULL;
    const size_t n_here = end ? (size_t)(end - bytes) + 1 : n;
    struct text line = { bytes, n_here };
    enum http_answer_step step;

    *ret_taken = n_here;
    a->n_head += n_here;
    if (a->n_head > (is_head ? HTTP_ANSWER_HEAD_MAX : HTTP_ANSWER_LINE_MAX))
        return wrong(a);
    if (!end || a->line.len > 0) {
        buf_append(&a->line, bytes, n_here);
        if (buf_status(&a->line) != ST_OK)
            return wrong(a);
        line = (struct text){ a->line.data, a->line.len };
    }
    if (!end)
        return HTTP_ANSWER_MORE;
    line.n--; /* RFC 9112, section 2.2: LF alone is taken for a line's end */
    if (line.n > 0 && line.at[line.n - 1] == '\r')
        line.n--;
    step = take_line(a, line);
    buf_clear(&a->line);
    return step;
}

static enum http_answer_step feed_body(struct http_answer *a, const char *bytes, size_t n,
                                       size_t *ret_taken, const char **ret_piece,
                                       size_t *ret_n_piece)
{
    const bool is_bounded = a->reading != ANSWER_UNTIL_CLOSED;

    if (is_bounded && n > a->n_left)
        n = (size_t)a->n_left;
    *ret_taken = *ret_n_piece = n;
    *ret_piece = bytes;
    if (is_bounded)
        a->n_left -= n;
    if (is_bounded && a->n_left == 0) {
        a->reading = a->reading == ANSWER_IN_CHUNK ? ANSWER_IN_CHUNK_END : ANSWER_AT_END;
        a->n_head = 0;
    }
    return HTTP_ANSWER_PIECE;
}

enum http_answer_step http_answer_feed(struct http_answer *a, const char *bytes, size_t n,
                                       size_t *ret_taken, const char **ret_piece,
                                       size_t *ret_n_piece)
{
    size_t at = 0;

    for (;;) {
        enum http_answer_step step;
        size_t taken = 0;

        *ret_taken = at;
        if (a->reading == ANSWER_AT_END)
            return HTTP_ANSWER_END;
        if (a->reading == ANSWER_AT_FAULT)
            return HTTP_ANSWER_WRONG;
        if (at == n)
            return HTTP_ANSWER_MORE;
        if (a->reading == ANSWER_IN_BODY || a->reading == ANSWER_IN_CHUNK ||
            a->reading == ANSWER_UNTIL_CLOSED)
            step = feed_body(a, bytes + at, n - at, &taken, ret_piece, ret_n_piece);
        else
            step = feed_line(a, bytes + at, n - at, &taken);
        at += taken;
        *ret_taken = at;
        if (step != HTTP_ANSWER_MORE)
            return step;
    }
}

enum http_answer_step http_answer_closed(struct http_answer *a)
{
    if (a->reading != ANSWER_UNTIL_CLOSED && a->reading != ANSWER_AT_END)
        return wrong(a);
    a->reading = ANSWER_AT_END;
    return HTTP_ANSWER_END;
}
