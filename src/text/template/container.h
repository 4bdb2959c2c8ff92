/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/container.h - lists and mappings: making, searching, comparing, ordering. */
#ifndef POMONA_TEXT_TEMPLATE_CONTAINER_H
#define POMONA_TEXT_TEMPLATE_CONTAINER_H

#include "text/template/str.h"

/* A list of `n` items to be filled before anyone sees it. */
enum status tmpl_list_new(struct interp *in, size_t n, struct list **ret);

/* What a loop over `v` goes through: items, a mapping's keys, a string's
 * characters, nothing of an undefined value.
 * Errors  ST_FORMAT  not iterable */
enum status tmpl_iterate(struct interp *in, const struct value *v, const struct list **ret);

enum status tmpl_dict_new(struct interp *in, struct dict **ret);
/* Replaces the value of an equal key.  Errors: ST_FORMAT a key that cannot be one */
enum status tmpl_dict_put(struct interp *in, struct dict *dict, const struct value *key,
                          const struct value *value);
/* For a key that is known to be new. */
enum status tmpl_dict_append(struct interp *in, struct dict *dict, const struct value *key,
                             const struct value *value);
/* *ret NULL where there is no such key */
enum status tmpl_dict_find(struct interp *in, const struct dict *dict, const struct value *key,
                           const struct value **ret);
enum status tmpl_dict_find_name(struct interp *in, const struct dict *dict, const char *name,
                                const struct value **ret);

/* As Python's == and <: numbers by value whatever their type, strings by code
 * points, lists item by item.  Order of unlike types is ST_FORMAT. */
enum status tmpl_equal(struct interp *in, const struct value *a, const struct value *b, bool *ret);
enum status tmpl_compare(struct interp *in, const struct value *a, const struct value *b,
                         int *ret_order);
enum status tmpl_contains(struct interp *in, const struct value *container,
                          const struct value *item, bool *ret);

/* Stable: order[i] is the index of the i-th of `keys` [n]. */
enum status tmpl_sort(struct interp *in, const struct value *keys, size_t n, bool descending,
                      size_t **ret_order);
enum status tmpl_entries_sorted(struct interp *in, const struct dict *dict,
                                const struct entry **ret);

#endif
