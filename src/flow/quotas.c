/* SPDX-License-Identifier: Apache-2.0 */
/* flow/quotas.c - what was used of daily quotas, kept over a restart. */
#include "flow/quotas.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"

enum { FILE_MAX_BYTES = 8 << 20 };

void quotas_read(const char *path, struct access *access)
{
    struct buf content = { 0 };
    struct err err;
    const enum status s = file_read(path, FILE_MAX_BYTES, &content, &err);
    json_t *saved = s == ST_OK ? json_loadb(buf_text(&content), content.len, 0, NULL) : NULL;

    if (saved)
        access_restore(access, saved);
    else if (s != ST_NOTFOUND)
        log_warn("the use of daily quotas is not known: %s is damaged", path);
    json_decref(saved);
    buf_release(&content);
}

void quotas_write(const char *path, const struct access *access)
{
    json_t *saved = access_save(access);
    char *text = saved ? json_dumps(saved, JSON_COMPACT) : NULL;
    struct err err;

    if (!text)
        log_warn("the use of daily quotas is not kept: there is no memory");
    else if (file_replace(path, text, strlen(text), &err) != ST_OK)
        log_warn("the use of daily quotas is not kept: %s", err.words);
    free(text);
    json_decref(saved);
}
