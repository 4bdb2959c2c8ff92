/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/text.c - case, stripping, replacing and lines of strings. */
#include "text/template/text.h"

#include <string.h>
#include <utf8proc.h>

#include "text/template/container.h"

enum { SHARP_S = 0xDF };

static bool is_cased(int32_t c)
{
    const utf8proc_category_t category = utf8proc_category(c);

    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
           category == UTF8PROC_CATEGORY_LT;
}

static bool begins_word(enum casing casing, int32_t before)
{
    if (casing == CASING_TITLE_LETTERS)
        return !is_cased(before);
    return tmpl_is_space(before) || (before < 0x80 && before > 0 && strchr("-({[<", (int)before));
}

static void build_cased(struct builder *b, int32_t c, enum casing as, bool trusted)
{
    if (c == SHARP_S && as == CASING_UPPER) {
        tmpl_build_bytes(b, "SS", 2, trusted);
        return;
    }
    if (as == CASING_UPPER)
        c = utf8proc_toupper(c);
    else if (as == CASING_LOWER)
        c = utf8proc_tolower(c);
    else
        c = utf8proc_totitle(c);
    tmpl_build_codepoint(b, c, trusted);
}

enum status tmpl_text_case(struct interp *in, const struct str *s, enum casing casing,
                           struct value *ret)
{
    struct builder b;
    int32_t before = ' ';
    size_t n;

    tmpl_build(&b, in);
    for (size_t i = 0; i < s->n; i += n) {
        const int32_t c = tmpl_utf8_at(s, i, &n);
        enum casing as = casing;

        if (casing == CASING_CAPITALIZE)
            as = i == 0 ? CASING_CAPITALIZE : CASING_LOWER;
        else if (casing == CASING_TITLE_WORDS)
            as = begins_word(casing, before) ? CASING_UPPER : CASING_LOWER;
        else if (casing == CASING_TITLE_LETTERS)
            as = begins_word(casing, before) ? CASING_CAPITALIZE : CASING_LOWER;
        build_cased(&b, c, as, str_mark(s, i));
        before = c;
    }
    return tmpl_build_finish(&b, ret);
}

static bool is_among(const struct str *chars, int32_t c)
{
    size_t n;

    if (!chars)
        return tmpl_is_space(c);
    for (size_t i = 0; i < chars->n; i += n)
        if (tmpl_utf8_at(chars, i, &n) == c)
            return true;
    return false;
}

enum status tmpl_text_strip(struct interp *in, const struct str *s, const struct str *chars,
                            enum side side, struct value *ret)
{
    size_t from = 0, end = s->n, n;
    enum status st = ST_OK;

    while (st == ST_OK && (side & SIDE_LEFT) && from < end &&
           is_among(chars, tmpl_utf8_at(s, from, &n))) {
        from += n;
        st = tmpl_charge(in, 1 + (chars ? chars->n : 0));
    }
    while (st == ST_OK && (side & SIDE_RIGHT) && end > from) {
        const size_t before = tmpl_utf8_before(s, end);

        if (!is_among(chars, tmpl_utf8_at(s, before, &n)))
            break;
        end = before;
        st = tmpl_charge(in, 1 + (chars ? chars->n : 0));
    }
    return st == ST_OK ? tmpl_str_part(in, s, from, end - from, ret) : st;
}

/* An empty `old` is found before every character and at the end. */
static enum status replace_empty(struct interp *in, const struct str *s, const struct str *new,
                                 int64_t count, struct value *ret)
{
    struct builder b;
    size_t at = 0;

    tmpl_build(&b, in);
    for (; count != 0 && !b.failed; count--) {
        const size_t end = tmpl_utf8_skip(s, at, 1);

        tmpl_build_str(&b, new);
        tmpl_build_part(&b, s, at, end - at);
        if (at == s->n)
            return tmpl_build_finish(&b, ret);
        at = end;
    }
    tmpl_build_part(&b, s, at, s->n - at);
    return tmpl_build_finish(&b, ret);
}

enum status tmpl_text_replace(struct interp *in, const struct str *s, const struct str *old,
                              const struct str *new, int64_t count, struct value *ret)
{
    struct builder b;
    size_t from = 0, at;
    enum status st = ST_OK;

    if (old->n == 0)
        return replace_empty(in, s, new, count, ret);
    tmpl_build(&b, in);
    for (; count != 0 && !b.failed; count--) {
        st = tmpl_str_find(in, s, from, old, &at);
        if (st != ST_OK)
            return st;
        if (at == SIZE_MAX)
            break;
        tmpl_build_part(&b, s, from, at - from);
        tmpl_build_str(&b, new);
        from = at + old->n;
    }
    tmpl_build_part(&b, s, from, s->n - from);
    return tmpl_build_finish(&b, ret);
}

/* https://docs.python.org/3/library/stdtypes.html#str.splitlines */
static bool ends_line(int32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/* The end of the line at `from`; *ret_next is where the one after it starts. */
static size_t line_end(const struct str *s, size_t from, size_t *ret_next)
{
    size_t i, n;

    for (i = from; i < s->n; i += n) {
        const int32_t c = tmpl_utf8_at(s, i, &n);

        if (!ends_line(c))
            continue;
        if (c == '\r' && i + 1 < s->n && s->bytes[i + 1] == '\n')
            n = 2;
        *ret_next = i + n;
        return i;
    }
    *ret_next = s->n;
    return s->n;
}

enum status tmpl_text_lines(struct interp *in, const struct str *s, struct value *ret)
{
    struct list *list;
    size_t n_lines = 0, next;
    enum status st = tmpl_charge(in, s->n);

    if (st != ST_OK)
        return st;
    for (size_t at = 0; at < s->n; at = next, n_lines++)
        (void)line_end(s, at, &next);
    st = tmpl_list_new(in, n_lines, &list);
    n_lines = 0;
    for (size_t at = 0; st == ST_OK && at < s->n; at = next) {
        const size_t end = line_end(s, at, &next);

        st = tmpl_str_part(in, s, at, end - at, &list->items[n_lines++]);
    }
    if (st == ST_OK)
        *ret = value_list(VALUE_LIST, list);
    return st;
}

bool tmpl_text_is_cased(const struct str *s, bool upper)
{
    bool found = false;
    size_t n;

    for (size_t i = 0; i < s->n; i += n) {
        const int32_t c = tmpl_utf8_at(s, i, &n);

        if (!is_cased(c))
            continue;
        if (utf8proc_category(c) != (upper ? UTF8PROC_CATEGORY_LU : UTF8PROC_CATEGORY_LL))
            return false;
        found = true;
    }
    return found;
}
