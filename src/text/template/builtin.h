/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/builtin.h - filters, tests, methods and global functions.
 *
 * All four are rows of tables with one signature.  To add one: write the
 * function and add its row.  Arguments arrive in the order of the row's
 * parameter names however they were passed, VALUE_ABSENT where they were not;
 * a row whose first parameter is "*" gets them as written.
 */
#ifndef POMONA_TEXT_TEMPLATE_BUILTIN_H
#define POMONA_TEXT_TEMPLATE_BUILTIN_H

#include "text/template/interp.h"

enum { BUILTIN_PARAMETERS_MAX = 4 };

struct named_value {
    const char *name;
    struct value value;
};

struct arguments {
    const struct value *at; /* [n] */
    size_t n;
    const struct named_value *named; /* [n_named] */
    size_t n_named;
};

/* self  what is filtered or tested, or whose method it is; NULL for a function */
typedef enum status builtin_fn(struct interp *in, const struct value *self,
                               const struct arguments *arguments, struct value *ret);

struct builtin {
    const char *name;
    builtin_fn *run;
    unsigned n_required;
    const char *parameters[BUILTIN_PARAMETERS_MAX];
};

/* Tables, each ended by a row without a name. */
extern const struct builtin tmpl_text_filters[], tmpl_list_filters[], tmpl_select_filters[];
extern const struct builtin tmpl_value_filters[], tmpl_dict_filters[];
extern const struct builtin tmpl_tests[];
extern const struct builtin tmpl_string_methods[], tmpl_dict_methods[], tmpl_loop_methods[];
extern const struct builtin tmpl_functions[];

/* `name` [n] among the rows; NULL where there is none. */
const struct builtin *tmpl_builtin_find(const struct builtin *rows, const char *name, size_t n);
const struct builtin *tmpl_filter_find(const char *name, size_t n);
const struct builtin *tmpl_test_find(const char *name, size_t n);
const struct builtin *tmpl_method_find(const struct value *v, const char *name);

/* Arrange the arguments for `b` and run it. */
enum status tmpl_builtin_run(struct interp *in, const struct builtin *b, const struct value *self,
                             const struct arguments *arguments, struct value *ret);

/* item.a.b or item[0] for a path "a.b" or "0"; the item itself where there is none. */
enum status tmpl_item_attribute(struct interp *in, const struct value *item,
                                const struct value *path, struct value *ret);

/* Arguments as C values.  An absent one gives the default. */
enum status tmpl_arg_int(struct interp *in, const struct value *v, int64_t if_absent, int64_t *ret);
enum status tmpl_arg_str(struct interp *in, const struct value *v, const struct str **ret);
bool tmpl_arg_bool(const struct value *v, bool if_absent);

#endif
