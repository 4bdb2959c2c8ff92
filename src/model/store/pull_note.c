/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/pull_note.c - what is known of a file that is not all here yet. */
#include "model/store/pull_note.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/paths.h"

enum { NOTE_BYTES_MAX = 8 << 10 };

static bool path_of(const char *part_path, char *ret_path)
{
    const int n = snprintf(ret_path, PATH_MAX_BYTES, "%s.json", part_path);

    return n > 0 && n < PATH_MAX_BYTES;
}

static bool take_text(const json_t *note, const char *key, char *ret, size_t capacity)
{
    const char *text = json_string_value(json_object_get(note, key));

    if (!text || strlen(text) >= capacity || strpbrk(text, "\r\n\""))
        return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

bool pull_note_read(const char *part_path, struct pull_note *ret_note)
{
    char path[PATH_MAX_BYTES];
    struct buf text = { 0 };
    json_t *note = NULL;
    json_int_t n_bytes;
    bool is_good;

    if (path_of(part_path, path) && file_read(path, NOTE_BYTES_MAX, &text, NULL) == ST_OK)
        note = json_loadb(text.data, text.len, 0, NULL);
    *ret_note = (struct pull_note){ 0 };
    n_bytes = json_integer_value(json_object_get(note, "bytes"));
    is_good = take_text(note, "url", ret_note->url, sizeof(ret_note->url)) &&
              take_text(note, "tag", ret_note->tag, sizeof(ret_note->tag)) &&
              take_text(note, "sha256", ret_note->sha256, sizeof(ret_note->sha256)) && n_bytes >= 0;
    ret_note->n_bytes = n_bytes > 0 ? (uint64_t)n_bytes : 0;
    json_decref(note);
    buf_release(&text);
    return is_good;
}

enum status pull_note_write(const char *part_path, const struct pull_note *note, struct err *err)
{
    char path[PATH_MAX_BYTES], *text;
    enum status s;
    json_t *object = json_pack("{s:s, s:s, s:s, s:I}", "url", note->url, "tag", note->tag, "sha256",
                               note->sha256, "bytes", (json_int_t)note->n_bytes);

    text = object ? json_dumps(object, JSON_INDENT(1)) : NULL;
    json_decref(object);
    if (!text)
        return err_set(err, ST_FORMAT, "the address or the server's tag is not UTF-8");
    s = path_of(part_path, path) ? file_replace(path, text, strlen(text), err)
                                 : err_set(err, ST_RANGE, "the path of the store is too long");
    free(text);
    return s;
}

void pull_note_remove(const char *part_path)
{
    char path[PATH_MAX_BYTES];

    if (path_of(part_path, path))
        (void)unlink(path);
}

void pull_note_renew(struct pull_note *note, uint64_t total)
{
    memcpy(note->tag, note->next_tag, sizeof(note->tag));
    if (note->next_sha256[0])
        memcpy(note->sha256, note->next_sha256, sizeof(note->sha256));
    note->n_bytes = note->next_bytes ? note->next_bytes : total;
}
