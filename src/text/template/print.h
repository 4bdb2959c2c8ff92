/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/print.h - values as text: str(), repr() and JSON.
 *
 * Brackets, commas and quotes that come in count as the request's; the bytes
 * of strings keep their marks.
 */
#ifndef POMONA_TEXT_TEMPLATE_PRINT_H
#define POMONA_TEXT_TEMPLATE_PRINT_H

#include "text/template/str.h"

/* As Python's str(): a string is itself, a list shows its items' repr(). */
enum status tmpl_to_str(struct interp *in, const struct value *v, const struct str **ret);
enum status tmpl_repr(struct builder *b, const struct value *v);

enum { FLOAT_TEXT_MAX = 40 };

/* The shortest digits that read back as `d`, as Python's repr() lays them out. */
void tmpl_float_text(double d, char ret_text[FLOAT_TEXT_MAX]);

struct json_style {
    const struct str *item_separator, *key_separator;
    const struct str *indent; /* one level; NULL: all on one line */
    bool sort_keys;
    bool ascii;
};

enum status tmpl_json(struct builder *b, const struct value *v, const struct json_style *style);

#endif
