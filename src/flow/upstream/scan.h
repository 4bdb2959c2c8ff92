/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/scan.h - fields of JSON text, found without parsing it.
 *
 * The text need not be JSON: what is found then means nothing, but lies within.
 *
 * Pure.
 */
#ifndef POMONA_FLOW_UPSTREAM_SCAN_H
#define POMONA_FLOW_UPSTREAM_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* What is known of a field of an object. */
struct scan_field {
    size_t at; /* where its value begins */
    size_t
        n_found; /* 1: it is this one; more: some of that name, or of names that are written with escapes */
};

/* The index after the closing quote of the string that begins at text[at]; `n` where there is none. */
size_t scan_string_end(const char *text, size_t n, size_t at);

/* The field called `name` of the object that is all of `text` [n]. */
struct scan_field scan_find(const char *text, size_t n, const char *name);

/* Bytes of the object that `text` [n] begins with; 0: it does not end within, or is none. */
size_t scan_object(const char *text, size_t n);

/* The value of a field of the object that is all of `text` [n]: 0 where it is not there once, or is no whole number. */
uint64_t scan_count(const char *text, size_t n, const char *name);

#endif
