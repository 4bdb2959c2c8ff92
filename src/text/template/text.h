/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/text.h - what filters and methods of strings share.
 *
 * Characters map one to one when case changes, except that the German sharp s
 * becomes SS; Python's other special mappings are left out.
 */
#ifndef POMONA_TEXT_TEMPLATE_TEXT_H
#define POMONA_TEXT_TEMPLATE_TEXT_H

#include "text/template/str.h"

enum casing {
    CASING_UPPER,
    CASING_LOWER,
    CASING_CAPITALIZE,    /* the first character upper, the rest lower */
    CASING_TITLE_WORDS,   /* the filter: a word starts after a blank, '-' or an opening bracket */
    CASING_TITLE_LETTERS, /* the method: a word starts after anything but a letter */
};

enum side { SIDE_LEFT = 1, SIDE_RIGHT = 2, SIDE_BOTH = 3 };

enum status tmpl_text_case(struct interp *in, const struct str *s, enum casing casing,
                           struct value *ret);

/* chars  NULL: white space */
enum status tmpl_text_strip(struct interp *in, const struct str *s, const struct str *chars,
                            enum side side, struct value *ret);

/* The first `count` places; count < 0: all. */
enum status tmpl_text_replace(struct interp *in, const struct str *s, const struct str *old,
                              const struct str *new, int64_t count, struct value *ret);

/* Lines without their ends. */
enum status tmpl_text_lines(struct interp *in, const struct str *s, struct value *ret);

/* Is there a letter with case, and are all of them upper (or lower)? */
bool tmpl_text_is_cased(const struct str *s, bool upper);

#endif
