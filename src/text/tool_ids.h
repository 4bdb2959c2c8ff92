/* SPDX-License-Identifier: Apache-2.0 */
/* text/tool_ids.h - ids of calls for templates that want them short.
 *
 * Mistral's templates refuse a conversation whose calls have other ids than nine letters and digits.
 * An id of another shape is replaced by one that is always the same for it, so calls and their
 * results keep together and a prompt stays what it was.
 */
#ifndef POMONA_TEXT_TOOL_IDS_H
#define POMONA_TEXT_TOOL_IDS_H

#include <jansson.h>

enum { TOOL_ID_SHORT = 9 };

/* The short form of `id`; of one that is short already, itself. */
void tool_id_shorten(const char *id, char ret_id[TOOL_ID_SHORT + 1]);

/* A conversation with short ids in it.
 * variables  borrowed: {"messages":[...],...}, as a template is rendered with
 * Given: json_decref(); NULL: no memory */
json_t *tool_ids_shorten(const json_t *variables);

#endif
