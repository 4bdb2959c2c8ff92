/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/files.c - everything on disk that decides who may ask. */
#include "gateway/guard/files.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/file.h"

enum { SECRET_MAX_BYTES = 4096 };

struct facts {
    int64_t changed_s, changed_ns, n_bytes;
    uint64_t inode, seed;
};

static uint64_t stamp_file(uint64_t seed, const char *path)
{
    struct facts facts = { .seed = seed };
    struct stat st;

    if (!path[0])
        return seed;
    if (stat(path, &st) == 0) {
        const struct timespec changed = file_modified(&st);

        facts.changed_s = changed.tv_sec;
        facts.changed_ns = changed.tv_nsec;
        facts.n_bytes = st.st_size;
        facts.inode = st.st_ino;
    }
    return XXH3_64bits(&facts, sizeof(facts));
}

static uint64_t stamp_all(const char *settings_path, const char *keys_path,
                          const struct api_gateway *settings)
{
    uint64_t stamp = stamp_file(stamp_file(1, settings_path), keys_path);

    for (unsigned i = 0; settings && i < settings->auth.issuers_count; i++) {
        stamp = stamp_file(stamp, settings->auth.issuers[i].jwks_file);
        stamp = stamp_file(stamp, settings->auth.issuers[i].secret_file);
    }
    if (settings) {
        stamp = stamp_file(stamp, settings->tls.certificate);
        stamp = stamp_file(stamp, settings->tls.private_key);
    }
    return stamp;
}

/* A line's end that an editor left is no part of a secret. */
static size_t without_newline(const struct buf *content)
{
    size_t n = content->len;

    while (n > 0 && (content->data[n - 1] == '\n' || content->data[n - 1] == '\r'))
        n--;
    return n;
}

static enum status load_set(const struct api_issuer *issuer, struct jwks **ret_set, struct err *err)
{
    const bool is_secret = issuer->secret_file[0] != '\0';
    const char *path = is_secret ? issuer->secret_file : issuer->jwks_file;
    struct buf content = { 0 };
    enum status s;

    if (!path[0])
        return ST_OK;
    s = file_read(path, is_secret ? SECRET_MAX_BYTES : JWKS_BYTES_MAX, &content, err);
    if (s != ST_OK)
        return s;
    if (is_secret)
        s = jwks_of_secret((const uint8_t *)buf_text(&content), without_newline(&content), ret_set,
                           err);
    else
        s = jwks_parse(buf_text(&content), content.len, ret_set, err);
    if (content.len > 0)
        OPENSSL_cleanse(content.data, content.len);
    buf_release(&content);
    if (s != ST_OK)
        err_wrap(err, "%s", path);
    return s;
}

static enum status load_sets(struct access_files *f, struct err *err)
{
    enum status s = ST_OK;

    for (unsigned i = 0; i < f->settings->auth.issuers_count && s == ST_OK; i++)
        s = load_set(&f->settings->auth.issuers[i], &f->sets[i], err);
    return s;
}

static enum status load_certificate(struct access_files *f, struct err *err)
{
    const struct api_tls *tls = &f->settings->tls;

    if (!tls->certificate[0])
        return ST_OK;
    return certificate_load(tls->certificate, tls->private_key,
                            tls->min_version == API_TLS_1_3 ? CERTIFICATE_TLS_1_3
                                                            : CERTIFICATE_TLS_1_2,
                            &f->certificate, err);
}

static enum status load_settings(const char *path, struct access_files *f, struct err *err)
{
    enum status s = path[0] ? api_gateway_load(path, &f->settings, err)
                            : api_gateway_default(&f->settings, err);

    if (s == ST_OK)
        s = load_sets(f, err);
    if (s == ST_OK)
        s = load_certificate(f, err);
    return s;
}

static struct access_files *files_new(void)
{
    struct access_files *f = calloc(1, sizeof(*f));

    if (f)
        f->n_refs = 1;
    return f;
}

enum status access_files_load(const char *settings_path, const char *keys_path,
                              struct access_files **ret_files, struct err *err)
{
    struct access_files *f = files_new();
    enum status s;

    if (!f)
        return err_set(err, ST_NOMEM, "the gateway's settings");
    s = load_settings(settings_path, f, err);
    if (s == ST_OK) {
        f->stamp = stamp_all(settings_path, keys_path, f->settings);
        s = api_keys_load(keys_path, &f->keys, err);
    }
    if (s == ST_OK)
        *ret_files = f;
    else
        access_files_unref(f);
    return s;
}

/* Settings and sets go together: a set belongs to an issuer of these settings. */
static void keep_settings(struct access_files *f, const struct access_files *old)
{
    api_gateway_unref(f->settings);
    f->settings = api_gateway_ref(old->settings);
    certificate_unref(f->certificate);
    f->certificate = old->certificate ? certificate_ref(old->certificate) : NULL;
    for (unsigned i = 0; i < API_ISSUERS_MAX; i++) {
        jwks_unref(f->sets[i]);
        f->sets[i] = old->sets[i] ? jwks_ref(old->sets[i]) : NULL;
    }
}

enum status access_files_reload(const char *settings_path, const char *keys_path,
                                const struct access_files *old, bool is_forced,
                                struct access_files **ret_files, struct err *err)
{
    struct access_files *f;
    const uint64_t stamp = stamp_all(settings_path, keys_path, old->settings);
    enum status s;

    *ret_files = NULL;
    err->words[0] = '\0';
    if (!is_forced && stamp == old->stamp)
        return ST_OK;
    f = files_new();
    if (!f)
        return err_set(err, ST_NOMEM, "the gateway's settings");
    if (load_settings(settings_path, f, err) != ST_OK)
        keep_settings(f, old);
    f->stamp = stamp_all(settings_path, keys_path, f->settings);
    s = api_keys_load(keys_path, &f->keys, err);
    if (s == ST_OK && stamp_all(settings_path, keys_path, old->settings) == stamp) {
        *ret_files = f;
        return ST_OK;
    }
    access_files_unref(f); /* wrong, or written to meanwhile: it will be looked at again */
    return s;
}

struct access_files *access_files_ref(struct access_files *files)
{
    (void)__atomic_add_fetch(&files->n_refs, 1, __ATOMIC_RELAXED);
    return files;
}

void access_files_unref(struct access_files *files)
{
    if (!files || __atomic_sub_fetch(&files->n_refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    api_gateway_unref(files->settings);
    api_keys_free(files->keys);
    certificate_unref(files->certificate);
    for (unsigned i = 0; i < API_ISSUERS_MAX; i++)
        jwks_unref(files->sets[i]);
    free(files);
}
