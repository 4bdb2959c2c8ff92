/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/hub.h - which file on a hub a person means.
 *
 *     https://host/path/file.gguf   that file
 *     owner/name:file.gguf          that file of a repository
 *     owner/name:Q4_K_M             the only file of it with these letters in its name
 *     owner/name                    the only GGUF file of it
 *
 * The hub's addresses are those of huggingface.co and of servers that imitate it:
 * ENDPOINT/owner/name/resolve/main/file, and a list of files at ENDPOINT/api/models/owner/name.
 *
 * Threads  waits for the network
 */
#ifndef POMONA_MODEL_STORE_HUB_H
#define POMONA_MODEL_STORE_HUB_H

#include <stdbool.h>

#include "base/status.h"

#define HUB_ENDPOINT "https://huggingface.co"

enum { HUB_URL_MAX = 2048, HUB_FILE_MAX = 256 };

struct hub_file {
    char url[HUB_URL_MAX];
    char file[HUB_FILE_MAX]; /* its name without folders */
    bool is_of_endpoint;     /* the token may be shown there */
};

/* token  NULL: none; shown to the endpoint alone
 * Errors  ST_RANGE  no such way to name a file; ST_NOTFOUND  no such repository, or no file of it
 *         fits, with those there are; ST_DENIED  it wants a token; ST_PEER, ST_FORMAT */
enum status hub_find(const char *what, const char *endpoint, const char *token,
                     struct hub_file *ret_file, struct err *err);

#endif
