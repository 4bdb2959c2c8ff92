/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_head.c - the machine that reads requests ahead of evhttp. */
#include "net/http_head.h"

#include <ctype.h>
#include <event2/http.h>
#include <string.h>
#include <strings.h>

#include "base/size.h"

enum {
    CHUNK_DIGITS_MAX = 8, /* of hexadecimal */
    LENGTH_DIGITS_MAX = 18,
    METHOD_MAX = 16,
    TEXT_BYTES = 500, /* of a header, most have less */
};

static const struct {
    int status;
    const char *words;
} faults[] = {
#define X(name, status, words) { status, words },
    HTTP_FAULT_MAP(X)
#undef X
};

/* Methods that evhttp reads, and whether it takes a body with them (since libevent 2.1.9). */
static const struct method {
    const char *name;
    bool has_body;
} methods[] = {
    { "GET", true },    { "POST", true },    { "HEAD", false }, { "PUT", true },
    { "DELETE", true }, { "OPTIONS", true }, { "PATCH", true }, { "TRACE", false },
};

int http_fault_status(enum http_fault fault)
{
    return faults[fault].status;
}

const char *http_fault_words(enum http_fault fault)
{
    return faults[fault].words;
}

void http_head_init(struct http_head *h, const struct http_bounds *bounds)
{
    *h = (struct http_head){ .bounds = *bounds };
}

void http_head_release(struct http_head *h)
{
    buf_release(&h->text);
}

void http_head_next(struct http_head *h)
{
    const struct http_bounds bounds = h->bounds;

    http_head_release(h);
    http_head_init(h, &bounds);
}

bool http_head_is_fresh(const struct http_head *h)
{
    return h->reading == HTTP_IN_LINE && h->n_bytes == 0;
}

bool http_head_is_in_body(const struct http_head *h)
{
    return h->reading >= HTTP_IN_BODY && h->reading < HTTP_AT_END;
}

static const char *next_word(const char *at)
{
    return at + strlen(at) + 1;
}

static const char *find_from(const struct http_head *h, const char *at, const char *name)
{
    for (; at < h->text.data + h->line_at; at = next_word(next_word(at)))
        if (strcasecmp(at, name) == 0)
            return at;
    return NULL;
}

const char *http_head_find(const struct http_head *h, const char *name)
{
    const char *at = h->text.len ? find_from(h, h->text.data + h->fields_at, name) : NULL;

    return at ? next_word(at) : NULL;
}

size_t http_head_count(const struct http_head *h, const char *name)
{
    const char *at = h->text.len ? find_from(h, h->text.data + h->fields_at, name) : NULL;
    size_t n = 0;

    for (; at; at = find_from(h, next_word(next_word(at)), name))
        n++;
    return n;
}

static enum http_step wrong(struct http_head *h, enum http_fault fault)
{
    h->fault = fault;
    h->reading = HTTP_AT_FAULT;
    return HTTP_WRONG;
}

/* RFC 9110, section 5.6.2 */
static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* The length of the token at the beginning. */
static size_t token_length(const char *text)
{
    size_t n = 0;

    while (is_token_char((unsigned char)text[n]))
        n++;
    return n;
}

/* Of a path, which no reader takes for anything else. */
static bool is_plain_path(const char *target)
{
    if (target[0] != '/' || target[1] == '/')
        return false;
    while (isalnum((unsigned char)*target) || (*target && strchr("/-._~", *target)))
        target++;
    return !*target;
}

/* RFC 9112, section 3.2: no spaces, no bytes but visible ASCII, no fragment. */
static bool is_target(const char *target)
{
    struct evhttp_uri *uri;

    if (is_plain_path(target))
        return true;
    if (target[0] != '/' && strncasecmp(target, "http://", 7) != 0 &&
        strncasecmp(target, "https://", 8) != 0)
        return false;
    for (const char *c = target; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || *c == '#')
            return false;
    uri = evhttp_uri_parse_with_flags(target, EVHTTP_URI_NONCONFORMANT); /* as evhttp will */
    if (!uri)
        return false;
    evhttp_uri_free(uri);
    return true;
}

static const struct method *method_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

/* The path of a target, in place: behind "http://host", before the query. */
static size_t path_cut(char *target)
{
    char *path = target;
    size_t n;

    if (target[0] != '/') {
        path = strstr(target, "://") + 3;
        path += strcspn(path, "/?");
    }
    n = strcspn(path, "?");
    memmove(target, path, n);
    target[n] = '\0';
    return n;
}

/* "METHOD target HTTP/1.1" in line[n], NUL-terminated; RFC 9112, section 3 */
static enum http_step take_request_line(struct http_head *h, char *line, size_t n)
{
    const size_t n_method = token_length(line);
    char *target = line + n_method + 1, *version;
    size_t n_path;

    if (n_method == 0 || n_method > METHOD_MAX || line[n_method] != ' ')
        return wrong(h, HTTP_MALFORMED);
    line[n_method] = '\0';
    version = strchr(target, ' ');
    if (!version || memchr(target, '\0', n - n_method - 1))
        return wrong(h, HTTP_MALFORMED);
    *version++ = '\0';
    h->is_1_0 = strcmp(version, "HTTP/1.0") == 0;
    if (!h->is_1_0 && strcmp(version, "HTTP/1.1") != 0)
        return wrong(h, strncmp(version, "HTTP/", 5) == 0 ? HTTP_VERSION : HTTP_MALFORMED);
    if (!method_find(line))
        return wrong(h, HTTP_METHOD);
    if (strlen(target) > h->bounds.url_bytes)
        return wrong(h, HTTP_URL_LONG);
    if (!is_target(target))
        return wrong(h, HTTP_MALFORMED);
    n_path = path_cut(target);
    h->fields_at = h->line_at = n_method + n_path + 2;
    h->text.len = h->line_at;
    h->reading = HTTP_IN_FIELDS;
    return HTTP_MORE;
}

/* "name: value" in line[n], NUL-terminated; RFC 9112, section 5 */
static enum http_step take_field(struct http_head *h, char *line, size_t n)
{
    const size_t n_name = token_length(line);
    char *value = line + n_name + 1;
    size_t n_value;

    if (n_name == 0 || line[n_name] != ':')
        return wrong(h, HTTP_MALFORMED); /* a folded line begins with a space */
    for (size_t i = n_name; i < n; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
            return wrong(h, HTTP_MALFORMED);
    if (++h->n_lines > h->bounds.header_lines)
        return wrong(h, HTTP_HEADER_LONG);
    line[n_name] = '\0';
    value += strspn(value, " "); /* evhttp leaves a tab there: so does this */
    n_value = n - (size_t)(value - line);
    while (n_value > 0 && (value[n_value - 1] == ' ' || value[n_value - 1] == '\t'))
        n_value--;
    memmove(line + n_name + 1, value, n_value);
    line[n_name + 1 + n_value] = '\0';
    h->line_at += n_name + n_value + 2;
    h->text.len = h->line_at;
    return HTTP_MORE;
}

/* Digits and nothing else. */
static bool read_length(const char *text, uint64_t *ret)
{
    const size_t n = strspn(text, "0123456789");
    uint64_t value = 0;

    if (n == 0 || n > LENGTH_DIGITS_MAX || text[n])
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    *ret = value;
    return true;
}

/* RFC 9112, section 6: how long the body is. */
static enum http_fault framing(struct http_head *h, const struct method *method)
{
    const size_t n_lengths = http_head_count(h, "Content-Length");
    const size_t n_codings = http_head_count(h, "Transfer-Encoding");

    if (n_lengths + n_codings > 1)
        return HTTP_LENGTHS;
    if (n_codings) {
        if (strcasecmp(http_head_find(h, "Transfer-Encoding"), "chunked") != 0)
            return HTTP_CODING;
        if (h->is_1_0 || !method->has_body)
            return HTTP_MALFORMED;
        h->is_chunked = h->has_body = true;
        return HTTP_FINE;
    }
    if (n_lengths && !read_length(http_head_find(h, "Content-Length"), &h->n_length))
        return HTTP_LENGTH;
    if (h->n_length > h->bounds.body_bytes)
        return HTTP_BODY_LONG;
    h->has_body = h->n_length > 0;
    h->drops_body = h->has_body && !method->has_body;
    return HTTP_FINE;
}

static enum http_fault check_head(struct http_head *h)
{
    const size_t n_hosts = http_head_count(h, "Host"); /* RFC 9112, section 3.2 */
    const char *expectation = http_head_find(h, "Expect");

    if (n_hosts > 1 || (n_hosts == 0 && !h->is_1_0))
        return HTTP_HOST;
    if (expectation && strcasecmp(expectation, "100-continue") != 0)
        return HTTP_EXPECTATION;
    return framing(h, method_find(h->method));
}

static enum http_step take_end_of_head(struct http_head *h)
{
    enum http_fault fault;

    h->text.len = h->line_at;
    h->method = h->text.data;
    h->path = next_word(h->method);
    fault = check_head(h);
    if (fault != HTTP_FINE)
        return wrong(h, fault);
    h->n_left = h->n_length;
    h->reading = h->is_chunked ? HTTP_IN_CHUNK_SIZE : h->has_body ? HTTP_IN_BODY : HTTP_AT_END;
    return HTTP_HEAD;
}

/* A whole line is at the end of the text, its LF included. */
static enum http_step take_line(struct http_head *h)
{
    char *line = h->text.data + h->line_at;
    const size_t n = h->text.len - h->line_at;

    if (n < 2 || line[n - 2] != '\r')
        return wrong(h, HTTP_MALFORMED);
    line[n - 2] = '\0';
    if (h->reading == HTTP_IN_LINE)
        return take_request_line(h, line, n - 2);
    return n == 2 ? take_end_of_head(h) : take_field(h, line, n - 2);
}

/* Of the line and the fields; *ret_n bytes up to the end of a line. */
static enum http_step feed_head(struct http_head *h, const char *bytes, size_t n, size_t *ret_n)
{
    const char *end = memchr(bytes, '\n', n);
    const size_t n_line = end ? (size_t)(end - bytes) + 1 : n;

    *ret_n = n_line;
    h->n_bytes += n_line;
    if (h->n_bytes > h->bounds.header_bytes)
        return wrong(h, h->reading == HTTP_IN_LINE ? HTTP_URL_LONG : HTTP_HEADER_LONG);
    if (!h->text.data)
        (void)buf_reserve(&h->text, TEXT_BYTES);
    buf_append(&h->text, bytes, n_line);
    if (buf_status(&h->text) != ST_OK)
        return wrong(h, HTTP_NO_MEMORY);
    return end ? take_line(h) : HTTP_MORE;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static enum http_step chunk_begins(struct http_head *h)
{
    h->n_body += h->n_left;
    if (h->n_body > h->bounds.body_bytes)
        return wrong(h, HTTP_BODY_LONG);
    h->reading = h->n_left ? HTTP_IN_CHUNK : HTTP_IN_TRAILER;
    h->n_digits = 0;
    return HTTP_MORE;
}

/* One byte of what is around chunks: "5\r\n" before, "\r\n" after, and once more at the end of all; RFC 9112,
 * section 7.1 */
static enum http_step feed_around(struct http_head *h, char c)
{
    const bool is_size = h->reading == HTTP_IN_CHUNK_SIZE;
    const int digit = is_size && h->n_digits < CHUNK_DIGITS_MAX ? hex_digit(c) : -1;
    enum { HAD_CR = 100 };

    if (digit >= 0) {
        h->n_left = (h->n_digits++ ? h->n_left << 4 : 0) + (uint64_t)digit;
        return HTTP_MORE;
    }
    if (c == '\r' && h->n_digits < HAD_CR && (!is_size || h->n_digits > 0)) {
        h->n_digits = HAD_CR;
        return HTTP_MORE;
    }
    if (c != '\n' || h->n_digits != HAD_CR)
        return wrong(h, HTTP_CHUNK);
    if (is_size)
        return chunk_begins(h);
    h->n_digits = 0;
    h->reading = h->reading == HTTP_IN_TRAILER ? HTTP_AT_END : HTTP_IN_CHUNK_SIZE;
    return HTTP_MORE;
}

static size_t feed_data(struct http_head *h, size_t n)
{
    const size_t taken = h->n_left < n ? (size_t)h->n_left : n;

    h->n_left -= taken;
    if (h->n_left == 0)
        h->reading = h->reading == HTTP_IN_CHUNK ? HTTP_IN_CHUNK_END : HTTP_AT_END;
    return taken;
}

bool http_head_is_passing(const struct http_head *h)
{
    return h->reading == HTTP_IN_BODY || h->reading == HTTP_IN_CHUNK;
}

enum http_step http_head_pass(struct http_head *h, size_t n, size_t *ret_n)
{
    *ret_n = feed_data(h, n);
    return h->reading == HTTP_AT_END ? HTTP_END : HTTP_MORE;
}

enum http_step http_head_feed(struct http_head *h, const char *bytes, size_t n, size_t *ret_n)
{
    enum http_step step = HTTP_MORE;
    size_t at = 0;

    while (step == HTTP_MORE && h->reading != HTTP_AT_END && at < n) {
        size_t taken = 1;

        if (h->reading <= HTTP_IN_FIELDS)
            step = feed_head(h, bytes + at, n - at, &taken);
        else if (http_head_is_passing(h))
            taken = feed_data(h, n - at);
        else if (h->reading == HTTP_AT_FAULT)
            step = HTTP_WRONG;
        else
            step = feed_around(h, bytes[at]);
        at += taken;
    }
    *ret_n = at;
    if (step == HTTP_MORE && h->reading == HTTP_AT_END)
        return HTTP_END;
    return step;
}
