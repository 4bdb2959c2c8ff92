/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store_origin.c - where on a hub a model came from, beside its file.
 *
 * A file of its own and not a part of the cached description, which is made again whenever the
 * program changes: this cannot be.  It is believed of the file alone that it was noted of.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hex.h"
#include "model/store/store_priv.h"

enum { ORIGIN_BYTES_MAX = 4096, DIGEST_TEXT_MAX = 2 * MODEL_DIGEST_BYTES + 1 };

static const char suffix[] = ".origin";

void store_origin_read(const struct store *store, const char *name, struct model_info *info)
{
    char path[PATH_MAX_BYTES], digest[DIGEST_TEXT_MAX];
    const char *origin, *noted;
    struct buf text = { 0 };
    json_t *note = NULL;

    info->origin[0] = '\0';
    if (store_path(store, name, suffix, path, NULL) == ST_OK &&
        file_read(path, ORIGIN_BYTES_MAX, &text, NULL) == ST_OK)
        note = json_loadb(text.data, text.len, 0, NULL);
    origin = json_string_value(json_object_get(note, "origin"));
    noted = json_string_value(json_object_get(note, "digest"));
    hex_write(info->digest, sizeof(info->digest), digest);
    if (origin && strlen(origin) < sizeof(info->origin) && noted && strcmp(noted, digest) == 0)
        memcpy(info->origin, origin, strlen(origin) + 1);
    json_decref(note);
    buf_release(&text);
}

void store_origin_write(const struct store *store, const struct model_info *info)
{
    char path[PATH_MAX_BYTES], digest[DIGEST_TEXT_MAX], *text = NULL;
    json_t *note = NULL;

    hex_write(info->digest, sizeof(info->digest), digest);
    if (info->origin[0])
        note = json_pack("{s:s, s:s}", "origin", info->origin, "digest", digest);
    if (note)
        text = json_dumps(note, JSON_INDENT(1));
    if (text && store_path(store, info->name, suffix, path, NULL) == ST_OK)
        (void)file_replace(path, text, strlen(text), NULL);
    free(text);
    json_decref(note);
}
