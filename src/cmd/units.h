/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/units.h - numbers as people read them, and lists of numbers as they write them. */
#ifndef POMONA_CMD_UNITS_H
#define POMONA_CMD_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Room for any text of the functions below, NUL included. */
enum { UNITS_MAX = 32 };

/* All write into ret_text [UNITS_MAX] and return it, so that they fit in a printf(). */
const char *units_bytes(uint64_t bytes, char *ret_text);   /* "89.9 MB", decimal units */
const char *units_count(uint64_t count, char *ret_text);   /* "134.5M" */
const char *units_seconds(double seconds, char *ret_text); /* "0.42 s", "3 min 20 s" */

/* "18,12": whole numbers from min to max, at most `capacity` of them.
 * Errors  ST_RANGE  not such a list; the words name the part that is wrong */
enum status units_list(const char *text, uint32_t min, uint32_t max, uint32_t *ret_values,
                       size_t capacity, size_t *ret_n, struct err *err);

#endif
