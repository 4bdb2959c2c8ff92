/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/str.c - strings with provenance, and their code points. */
#include "text/template/str.h"

#include <string.h>
#include <utf8proc.h>

#include "base/size.h"

enum { BUILD_MIN = 64 };

enum status tmpl_str_view(struct interp *in, const char *bytes, size_t n, bool trusted,
                          struct value *ret)
{
    struct str *s = tmpl_alloc(in, sizeof(*s));

    if (!s)
        return tmpl_no_memory(in);
    *s = (struct str){ .bytes = bytes, .n = n, .trusted = trusted };
    *ret = value_string(s);
    return ST_OK;
}

enum status tmpl_str_part(struct interp *in, const struct str *s, size_t from, size_t n,
                          struct value *ret)
{
    struct str *part;

    if (from == 0 && n == s->n) {
        *ret = value_string(s);
        return ST_OK;
    }
    part = tmpl_alloc(in, sizeof(*part));
    if (!part)
        return tmpl_no_memory(in);
    *part = (struct str){ .bytes = s->bytes + from,
                          .n = n,
                          .marks = s->marks ? s->marks + from : NULL,
                          .trusted = s->trusted };
    *ret = value_string(part);
    return ST_OK;
}

enum status tmpl_str_concat(struct interp *in, const struct str *a, const struct str *b,
                            struct value *ret)
{
    struct builder build;

    tmpl_build(&build, in);
    tmpl_build_str(&build, a);
    tmpl_build_str(&build, b);
    return tmpl_build_finish(&build, ret);
}

void tmpl_build(struct builder *b, struct interp *in)
{
    *b = (struct builder){ .in = in };
}

static size_t grown(size_t capacity, size_t need)
{
    return size_max(need, size_max(BUILD_MIN, capacity + capacity / 2));
}

static bool reserve(struct builder *b, size_t n)
{
    size_t capacity;
    char *bytes;

    if (b->failed)
        return false;
    if (b->capacity - b->n >= n)
        return true;
    b->failed = n > TMPL_ARENA_MAX;
    if (b->failed) {
        b->in->arena.status = ST_RANGE;
        return false;
    }
    capacity = grown(b->capacity, b->n + n);
    bytes = tmpl_arena_grow(&b->in->arena, b->bytes, b->n, capacity);
    b->failed = !bytes;
    if (!bytes)
        return false;
    b->bytes = bytes;
    b->capacity = capacity;
    return true;
}

/* Give the string marks of its own, and room for `n` more. */
static bool reserve_marks(struct builder *b, size_t n)
{
    const bool first = !b->marks;
    size_t capacity;
    unsigned char *marks;

    if (!first && b->marks_capacity - b->n >= n)
        return true;
    capacity = grown(b->marks_capacity, b->n + n);
    marks = tmpl_arena_grow(&b->in->arena, b->marks, first ? 0 : b->n, capacity);
    b->failed = !marks;
    if (!marks)
        return false;
    if (first)
        memset(marks, b->mark, b->n);
    b->marks = marks;
    b->marks_capacity = capacity;
    return true;
}

static void append(struct builder *b, const char *bytes, size_t n, const unsigned char *marks,
                   bool mark)
{
    if (n == 0 || !reserve(b, n))
        return;
    if (b->n == 0 && !marks)
        b->mark = mark;
    if (b->marks || marks || b->mark != mark) {
        if (!reserve_marks(b, n))
            return;
        if (marks)
            memcpy(b->marks + b->n, marks, n);
        else
            memset(b->marks + b->n, mark, n);
    }
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
}

void tmpl_build_bytes(struct builder *b, const char *bytes, size_t n, bool trusted)
{
    append(b, bytes, n, NULL, trusted);
}

void tmpl_build_part(struct builder *b, const struct str *s, size_t from, size_t n)
{
    append(b, s->bytes + from, n, s->marks ? s->marks + from : NULL, s->trusted);
}

void tmpl_build_str(struct builder *b, const struct str *s)
{
    tmpl_build_part(b, s, 0, s->n);
}

void tmpl_build_char(struct builder *b, char c, bool trusted)
{
    append(b, &c, 1, NULL, trusted);
}

void tmpl_build_codepoint(struct builder *b, int32_t codepoint, bool trusted)
{
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t n = utf8proc_encode_char(codepoint, bytes);

    append(b, (const char *)bytes, (size_t)n, NULL, trusted);
}

enum status tmpl_build_finish(struct builder *b, struct value *ret)
{
    struct str *s;

    if (b->failed)
        return tmpl_no_memory(b->in);
    s = tmpl_alloc(b->in, sizeof(*s));
    if (!s)
        return tmpl_no_memory(b->in);
    *s = (struct str){ .bytes = b->n ? b->bytes : "",
                       .n = b->n,
                       .marks = b->marks,
                       .trusted = b->n ? b->mark : true };
    *ret = value_string(s);
    return ST_OK;
}

size_t tmpl_utf8_skip(const struct str *s, size_t at, size_t n_codepoints)
{
    while (at < s->n && n_codepoints > 0) {
        at++;
        while (at < s->n && ((unsigned char)s->bytes[at] & 0xC0) == 0x80)
            at++;
        n_codepoints--;
    }
    return at;
}

int32_t tmpl_utf8_at(const struct str *s, size_t at, size_t *ret_n)
{
    utf8proc_int32_t codepoint;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s->bytes + at,
                                                (utf8proc_ssize_t)(s->n - at), &codepoint);

    *ret_n = n > 0 ? (size_t)n : 1;
    return n > 0 ? codepoint : 0xFFFD;
}

size_t tmpl_utf8_before(const struct str *s, size_t at)
{
    at--;
    while (at > 0 && ((unsigned char)s->bytes[at] & 0xC0) == 0x80)
        at--;
    return at;
}

bool tmpl_is_space(int32_t c)
{
    if (c < 0x80)
        return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/* Each candidate is charged for, so that a search made to be quadratic ends. */
enum status tmpl_str_find(struct interp *in, const struct str *s, size_t from,
                          const struct str *part, size_t *ret_at)
{
    size_t at = from;

    if (part->n == 0) {
        *ret_at = from <= s->n ? from : SIZE_MAX;
        return ST_OK;
    }
    while (at < s->n && s->n - at >= part->n) {
        const char *hit = memchr(s->bytes + at, part->bytes[0], s->n - at - part->n + 1);
        enum status st;

        if (!hit)
            break;
        at = (size_t)(hit - s->bytes);
        st = tmpl_charge(in, part->n);
        if (st != ST_OK)
            return st;
        if (memcmp(hit, part->bytes, part->n) == 0) {
            *ret_at = at;
            return tmpl_charge(in, at - from);
        }
        at++;
    }
    *ret_at = SIZE_MAX;
    return tmpl_charge(in, s->n > from ? s->n - from : 0);
}

bool tmpl_str_same(const struct str *a, const struct str *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->bytes, b->bytes, a->n) == 0);
}
