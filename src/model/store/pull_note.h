/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/pull_note.h - what is known of a file that is not all here yet. */
#ifndef POMONA_MODEL_STORE_PULL_NOTE_H
#define POMONA_MODEL_STORE_PULL_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "model/store/hub.h"

enum { PULL_TAG_MAX = 256, PULL_HASH_TEXT_MAX = 65 };

struct pull_note {
    char url[HUB_URL_MAX];
    char tag[PULL_TAG_MAX];          /* the server's ETag of the bytes here; "": none */
    char sha256[PULL_HASH_TEXT_MAX]; /* of the whole file, as the hub names it; "": it does not */
    uint64_t n_bytes;                /* of the whole file; 0: not known */
    /* The same of the answer that is coming; taken by pull_note_renew(). */
    char next_tag[PULL_TAG_MAX], next_sha256[PULL_HASH_TEXT_MAX];
    uint64_t next_bytes;
};

/* False where there is no note at PART.json, or it is damaged: then *ret_note is undefined. */
bool pull_note_read(const char *part_path, struct pull_note *ret_note);
enum status pull_note_write(const char *part_path, const struct pull_note *note, struct err *err);
void pull_note_remove(const char *part_path);

/* The answer's bytes are taken, and with them what it says.
 * total  of the whole file by the answer's length; 0: it has none */
void pull_note_renew(struct pull_note *note, uint64_t total);

#endif
