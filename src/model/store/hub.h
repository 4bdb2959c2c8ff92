/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/hub.h - which file on a hub a person means.
 *
 *     https://host/path/file.gguf   that file; a page of it on the hub will do (/blob/)
 *     owner/name:file.gguf          that file of a repository; also owner/name/file.gguf
 *     owner/name:Q4_K_M             the only file of it with these letters in its name
 *     owner/name                    the only GGUF file of it
 *
 * Each but the first may end in @REVISION, a branch, tag or commit (main where there is none),
 * and begin with "hf:", "hf.co/" or "huggingface.co/".
 *
 * The hub's addresses are those of huggingface.co and of servers that imitate it:
 * ENDPOINT/owner/name/resolve/REVISION/file, and a list of files at
 * ENDPOINT/api/models/owner/name/revision/REVISION.
 *
 * An origin is where a file came from, as nodes remember it: "hf:owner/name/file.gguf@COMMIT",
 * or the URL where it is no hub's.
 *
 * Threads  waits for the network
 */
#ifndef POMONA_MODEL_STORE_HUB_H
#define POMONA_MODEL_STORE_HUB_H

#include <stdbool.h>

#include "base/status.h"
#include "contract/model_info.h"

#define HUB_ENDPOINT "https://huggingface.co"

enum { HUB_URL_MAX = 2048, HUB_FILE_MAX = 256, HUB_REPOSITORY_MAX = 200, HUB_REVISION_MAX = 64 };

struct hub_file {
    char url[HUB_URL_MAX];
    char file[HUB_FILE_MAX]; /* its name without folders */
    bool is_of_endpoint;     /* the token may be shown there */
    /* Where it is of a repository; else "". */
    char repository[HUB_REPOSITORY_MAX], path[HUB_FILE_MAX], revision[HUB_REVISION_MAX];
};

/* endpoint  NULL: HUB_ENDPOINT
 * token     NULL: none; shown to the endpoint alone
 * Errors  ST_RANGE  no such way to name a file; ST_NOTFOUND  no such repository, or no file of it
 *         fits, with those there are; ST_UNSUPPORTED  no GGUF file, or one of a model that is split
 *         over several; ST_DENIED  it wants a token; ST_PEER, ST_FORMAT */
enum status hub_find(const char *what, const char *endpoint, const char *token,
                     struct hub_file *ret_file, struct err *err);

/* The origin of a file: ret_origin [MODEL_ORIGIN_MAX]; "" where it has no form that others may use.
 * commit  of the revision, as the hub said; "": the revision itself */
void hub_origin(const struct hub_file *file, const char *commit, char *ret_origin);

/* Where that is; asks nobody.
 * endpoint  NULL: HUB_ENDPOINT
 * Errors    ST_RANGE  no origin */
enum status hub_find_origin(const char *origin, const char *endpoint, struct hub_file *ret_file,
                            struct err *err);

#endif
