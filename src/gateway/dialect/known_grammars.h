/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/known_grammars.h - the grammars that compiled lately: a schema that an agent sends with each
 * request is checked once.
 *
 * Remembered by 128 bits of hash, KNOWN_GRAMMARS_MAX of them, the oldest forgotten first.  Who made two
 * texts of one hash would have his own request refused later, by the driver.
 *
 * Threads  any
 */
#ifndef POMONA_GATEWAY_DIALECT_KNOWN_GRAMMARS_H
#define POMONA_GATEWAY_DIALECT_KNOWN_GRAMMARS_H

#include <stdbool.h>
#include <stddef.h>

enum { KNOWN_GRAMMARS_MAX = 256 };

struct known_grammars;

struct known_grammars *known_grammars_new(void);        /* NULL: no memory */
void known_grammars_free(struct known_grammars *known); /* NULL is allowed */

/* NULL knows nothing and learns nothing. */
bool known_grammars_has(struct known_grammars *known, const char *text, size_t n);
void known_grammars_add(struct known_grammars *known, const char *text, size_t n);

#endif
