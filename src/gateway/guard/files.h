/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/files.h - everything on disk that the API goes by: settings, API keys, issuers' keys,
 * the certificate.
 *
 * Read as one, immutable, shared by reference.  A part that cannot be read stays as it was,
 * and is complained of: so a mistake in the settings does not keep a revoked key alive.
 *
 * Threads  any; files are read: not the loop's
 */
#ifndef POMONA_GATEWAY_GUARD_FILES_H
#define POMONA_GATEWAY_GUARD_FILES_H

#include "config/api_gateway.h"
#include "gateway/guard/api_keys.h"
#include "gateway/guard/jwks.h"
#include "net/certificate.h"

struct access_files {
    struct api_gateway *settings;
    struct api_keys *keys;
    struct jwks *sets[API_ISSUERS_MAX]; /* of files and secrets; NULL where a URL gives them */
    struct certificate *certificate;    /* of TLS; NULL: in clear */
    uint64_t stamp;                     /* of all the files; changes when one does */
    uint32_t n_refs;
};

/* settings_path  "": the defaults
 * Errors         as api_gateway_load(), api_keys_load(), jwks_parse(): the first */
enum status access_files_load(const char *settings_path, const char *keys_path,
                              struct access_files **ret_files, struct err *err);

/* The same where `old` is in force: *ret_files is NULL if no file changed and is_forced is not set.
 * `err` says what was left as it was; the status is ST_OK all the same where others changed. */
enum status access_files_reload(const char *settings_path, const char *keys_path,
                                const struct access_files *old, bool is_forced,
                                struct access_files **ret_files, struct err *err);

struct access_files *access_files_ref(struct access_files *files);
void access_files_unref(struct access_files *files); /* NULL is allowed */

#endif
