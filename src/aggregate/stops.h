/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/stops.h - finding stop strings in text that is still growing.
 *
 * The result does not depend on how the text was cut into pieces: the match
 * is the one that is complete first, as if bytes came one at a time; of two
 * that end together, the longer.
 */
#ifndef POMONA_AGGREGATE_STOPS_H
#define POMONA_AGGREGATE_STOPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct stops {
    char **words; /* [n], owned, none empty */
    size_t *lens; /* [n] */
    size_t n;
};

/* Empty words are left out. */
enum status stops_init(struct stops *stops, const char *const *words, size_t n, struct err *err);
void stops_release(struct stops *stops);

struct stop_match {
    size_t start, end;
    const char *word; /* lent until stops_release() */
};

bool stops_find(const struct stops *stops, const char *text, size_t n, struct stop_match *ret);

/* Bytes at the end of `text` that may be the start of a stop string. */
size_t stops_held(const struct stops *stops, const char *text, size_t n);

#endif
