/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/str.h - making strings whose bytes remember their origin. */
#ifndef POMONA_TEXT_TEMPLATE_STR_H
#define POMONA_TEXT_TEMPLATE_STR_H

#include "text/template/interp.h"

/* A string of `bytes` [n], which must live as long as the render. */
enum status tmpl_str_view(struct interp *in, const char *bytes, size_t n, bool trusted,
                          struct value *ret);

/* A part of `s`: shares its bytes. */
enum status tmpl_str_part(struct interp *in, const struct str *s, size_t from, size_t n,
                          struct value *ret);

enum status tmpl_str_concat(struct interp *in, const struct str *a, const struct str *b,
                            struct value *ret);

/* A string growing at its end.  A failure is kept and told by the finish. */
struct builder {
    struct interp *in;
    char *bytes;
    unsigned char *marks; /* NULL while all bytes are of one origin */
    size_t n, capacity, marks_capacity;
    bool mark; /* the one origin */
    bool failed;
};

void tmpl_build(struct builder *b, struct interp *in);
void tmpl_build_bytes(struct builder *b, const char *bytes, size_t n, bool trusted);
void tmpl_build_part(struct builder *b, const struct str *s, size_t from, size_t n);
void tmpl_build_str(struct builder *b, const struct str *s);
void tmpl_build_char(struct builder *b, char c, bool trusted);
void tmpl_build_codepoint(struct builder *b, int32_t codepoint, bool trusted);
enum status tmpl_build_finish(struct builder *b, struct value *ret);

/* Code points.  A position is a byte offset at the start of one. */
size_t tmpl_utf8_skip(const struct str *s, size_t at, size_t n_codepoints);
int32_t tmpl_utf8_at(const struct str *s, size_t at, size_t *ret_n); /* at < s->n */
size_t tmpl_utf8_before(const struct str *s, size_t at); /* 0 < at; start of the one before */
bool tmpl_is_space(int32_t codepoint);                   /* as Python's str.isspace() */

/* Offset of `part` in `s` at or after `from`; SIZE_MAX where it is not. */
enum status tmpl_str_find(struct interp *in, const struct str *s, size_t from,
                          const struct str *part, size_t *ret_at);

bool tmpl_str_same(const struct str *a, const struct str *b);

#endif
