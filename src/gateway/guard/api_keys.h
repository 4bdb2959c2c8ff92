/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/api_keys.h - the API keys of a data folder: DATA/api_keys.json, mode 0600.
 *
 * A key is "sk-pomona-" and 256 random bits in hexadecimal.  The file holds its SHA-256 alone: what
 * is that random cannot be guessed from its hash, so no slow hash is needed as for passwords
 * (OWASP Password Storage is about what people choose), and a lookup by hash tells
 * nothing by its time, as nobody can choose a hash's beginning without knowing the key.
 *
 * A list that was read is immutable; a change replaces the file, under a lock.
 *
 * Threads  any
 */
#ifndef POMONA_GATEWAY_GUARD_API_KEYS_H
#define POMONA_GATEWAY_GUARD_API_KEYS_H

#include <stddef.h>

#include "gateway/guard/principal.h"

#define API_KEYS_FILE "api_keys.json" /* in the data folder */

enum {
    API_KEY_HASH_BYTES = 32,
    API_KEY_TEXT_MAX = 80, /* NUL included */
    API_KEYS_MAX = 100000,
    API_KEY_NAME_MAX = 64,
};

struct api_key {
    uint8_t hash[API_KEY_HASH_BYTES];
    char name[API_KEY_NAME_MAX];
    int64_t created_s;
    struct principal who;
};

struct api_keys;

/* A file that is not there holds no keys.
 * ret_keys  given: api_keys_free()
 * Errors    ST_IO, ST_NOMEM; ST_FORMAT  the file is damaged */
enum status api_keys_load(const char *path, struct api_keys **ret_keys, struct err *err);
void api_keys_free(struct api_keys *keys); /* NULL is allowed */

size_t api_keys_count(const struct api_keys *keys);
const struct api_key *api_keys_at(const struct api_keys *keys, size_t i); /* lent */

/* The key whose text this is, expired or not; lent until api_keys_free().  NULL: none. */
const struct api_key *api_keys_find(const struct api_keys *keys, const char *text, size_t n);

/* Make a key for key->who, called key->name.
 * ret_text  [API_KEY_TEXT_MAX], shown once and never kept
 * Errors    ST_RANGE  the name is taken or no name; ST_FULL; ST_IO */
enum status api_keys_create(const char *path, const struct api_key *key, char *ret_text,
                            struct err *err);

/* Errors  ST_NOTFOUND; ST_IO */
enum status api_keys_revoke(const char *path, const char *name, struct err *err);

#endif
