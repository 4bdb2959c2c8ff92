/* SPDX-License-Identifier: Apache-2.0 */
/* net/cluster_key.c - the secret that the nodes of a cluster share, and what is derived from it. */
#include "net/cluster_key.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/random.h"

enum { KEY_FILE_MAX_BYTES = 256, INFO_MAX_BYTES = 256 };

static const char salt[] = "pomona cluster key 1";

void cluster_key_make(struct cluster_key *ret_key)
{
    random_bytes(ret_key->bytes, sizeof(ret_key->bytes));
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum status cluster_key_parse(const char *text, struct cluster_key *ret_key, struct err *err)
{
    struct cluster_key key;

    text += strspn(text, " \t\r\n");
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        const int high = digit_value(text[2 * i]);
        const int low = high >= 0 ? digit_value(text[2 * i + 1]) : -1;

        if (low < 0)
            return err_set(err, ST_FORMAT, "a cluster key is 64 hexadecimal digits; this is not");
        key.bytes[i] = (uint8_t)(high << 4 | low);
    }
    text += 2 * sizeof(key.bytes);
    if (text[strspn(text, " \t\r\n")] != '\0')
        return err_set(err, ST_FORMAT, "a cluster key is 64 hexadecimal digits and nothing else");
    *ret_key = key;
    cluster_key_wipe(&key, sizeof(key));
    return ST_OK;
}

void cluster_key_print(const struct cluster_key *key, char *ret_text)
{
    for (size_t i = 0; i < sizeof(key->bytes); i++)
        (void)snprintf(ret_text + 2 * i, 3, "%02x", key->bytes[i]);
}

enum status cluster_key_load(const char *path, struct cluster_key *ret_key, struct err *err)
{
    struct buf content = { 0 };
    struct stat st;
    enum status s;

    if (stat(path, &st) != 0 && errno == ENOENT)
        return err_set(err, ST_NOTFOUND,
                       "there is no cluster key '%s'; 'pomona keys cluster' "
                       "makes one",
                       path);
    if (stat(path, &st) != 0)
        return err_errno(err, "look at '%s'", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(err, ST_DENIED,
                       "others can read the cluster key '%s'; run 'chmod 600' on it", path);
    s = file_read(path, KEY_FILE_MAX_BYTES, &content, err);
    if (s == ST_OK) {
        s = cluster_key_parse(buf_text(&content), ret_key, err);
        if (s != ST_OK)
            err_wrap(err, "%s", path);
    }
    if (content.data)
        cluster_key_wipe(content.data, content.len);
    buf_release(&content);
    return s;
}

enum status cluster_key_save(const char *path, const struct cluster_key *key, struct err *err)
{
    char text[CLUSTER_KEY_TEXT_MAX + 1], dir[PATH_MAX_BYTES];
    const char *slash = strrchr(path, '/');
    enum status s = ST_OK;

    if (slash && slash > path) {
        if ((size_t)(slash - path) >= sizeof(dir))
            return err_set(err, ST_RANGE, "the path '%.40s...' is too long", path);
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = '\0';
        s = path_make(dir, err);
    }
    if (s != ST_OK)
        return s;
    cluster_key_print(key, text);
    text[CLUSTER_KEY_TEXT_MAX - 1] = '\n';
    s = file_replace(path, text, CLUSTER_KEY_TEXT_MAX, err); /* mkstemp() makes it 0600 */
    cluster_key_wipe(text, sizeof(text));
    return s;
}

enum status cluster_key_derive(const struct cluster_key *key, const char *purpose,
                               const char *name_space, uint8_t *ret_bytes, size_t n,
                               struct err *err)
{
    char info[INFO_MAX_BYTES], digest[] = "SHA256";
    const size_t n_purpose = strlen(purpose) + 1, n_info = n_purpose + strlen(name_space);
    EVP_KDF *kdf = NULL;
    EVP_KDF_CTX *ctx = NULL;
    bool is_done = false;

    if (n_info > sizeof(info))
        return err_set(err, ST_RANGE, "the name '%.40s...' is too long to derive a key for",
                       name_space);
    memcpy(info, purpose, n_purpose);
    memcpy(info + n_purpose, name_space, n_info - n_purpose);

    kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
    ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    if (ctx) {
        /* OSSL_PARAM has no const; HKDF writes to none of them */
        const OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key->bytes,
                                              sizeof(key->bytes)),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt, sizeof(salt) - 1),
            OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, n_info),
            OSSL_PARAM_construct_end(),
        };

        is_done = EVP_KDF_derive(ctx, ret_bytes, n, params) == 1;
    }
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return is_done ? ST_OK : err_set(err, ST_NOMEM, "a key could not be derived");
}

void cluster_key_wipe(void *bytes, size_t n)
{
    OPENSSL_cleanse(bytes, n);
}
