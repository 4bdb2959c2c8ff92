/* SPDX-License-Identifier: Apache-2.0 */
/* text/json_whole.h - copies of JSON that are whole: the library's lack what there was no memory for, and do not say so.
 * Threads  any
 */
#ifndef POMONA_TEXT_JSON_WHOLE_H
#define POMONA_TEXT_JSON_WHOLE_H

#include <jansson.h>

/* As json_copy(), of its values references.  Given: json_decref(); NULL: `value` was NULL, or there is no memory. */
json_t *json_whole_copy(const json_t *value);

#endif
