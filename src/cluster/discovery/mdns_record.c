/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns_record.c - what a node advertises by mDNS, for its own cluster's eyes. */
#include "cluster/discovery/mdns_record.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

enum {
    TAG_BYTES = 16,
    SEALED_BYTES = TAG_BYTES + BEACON_BYTES,
    NAME_TAG_BYTES = 8,
};

static const char version_item[] = "txtvers=1";
static const char node_item[] = "node=";

_Static_assert(sizeof(version_item) + sizeof(node_item) + 2 * SEALED_BYTES <= MDNS_TEXT_MAX,
               "both items with their lengths");

/* A context for AES-128-SIV over version_item; NULL: out of memory, or no such cipher. */
static EVP_CIPHER_CTX *siv_new(const uint8_t *key, int encrypts)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-SIV", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    if (!cipher || !ctx || EVP_CipherInit_ex2(ctx, cipher, key, NULL, encrypts, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher);
    return ctx;
}

static bool siv_run(EVP_CIPHER_CTX *ctx, const uint8_t *from, uint8_t *ret_to)
{
    uint8_t last[1];
    int n = 0;

    return EVP_CipherUpdate(ctx, NULL, &n, (const uint8_t *)version_item,
                            (int)sizeof(version_item) - 1) == 1 &&
           EVP_CipherUpdate(ctx, ret_to, &n, from, BEACON_BYTES) == 1 && n == BEACON_BYTES &&
           EVP_CipherFinal_ex(ctx, last, &n) == 1;
}

static void put_item(struct mdns_record *r, const char *item)
{
    const size_t n = strlen(item);

    r->text[r->n_text++] = (uint8_t)n;
    memcpy(r->text + r->n_text, item, n);
    r->n_text += n;
}

/* ret_name [MDNS_NAME_MAX] */
static void name_of(const uint8_t *sealed, char *ret_name)
{
    char digits[2 * NAME_TAG_BYTES + 1];

    hex_write(sealed, NAME_TAG_BYTES, digits);
    (void)snprintf(ret_name, MDNS_NAME_MAX, "pomona-%s", digits);
}

enum status mdns_record_write(const uint8_t *key, const struct beacon_message *message,
                              struct mdns_record *ret_record, struct err *err)
{
    char item[sizeof(node_item) + 2 * SEALED_BYTES];
    uint8_t plain[BEACON_BYTES], sealed[SEALED_BYTES];
    struct mdns_record r = { .n_text = 0 };
    const enum status s = beacon_write(message, plain, err);
    EVP_CIPHER_CTX *ctx;
    bool is_sealed;

    if (s != ST_OK)
        return s;
    ctx = siv_new(key, 1);
    is_sealed = ctx && siv_run(ctx, plain, sealed + TAG_BYTES) &&
                EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, sealed) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!is_sealed)
        return err_set(err, ST_NOMEM, "seal a record for mDNS");
    memcpy(item, node_item, sizeof(node_item) - 1);
    hex_write(sealed, sizeof(sealed), item + sizeof(node_item) - 1);
    put_item(&r, version_item);
    put_item(&r, item);
    name_of(sealed, r.name);
    *ret_record = r;
    return ST_OK;
}

/* The value of the first item called node; NULL: none, or no TXT record. */
static const char *find_node(const uint8_t *text, size_t n, size_t *ret_n)
{
    const size_t n_name = sizeof(node_item) - 1;

    for (size_t at = 0; at < n;) {
        const size_t n_item = text[at++];

        if (n_item > n - at)
            return NULL;
        if (n_item >= n_name && memcmp(text + at, node_item, n_name) == 0) {
            *ret_n = n_item - n_name;
            return (const char *)text + at + n_name;
        }
        at += n_item;
    }
    return NULL;
}

enum status mdns_record_read(const uint8_t *key, const char *name, const uint8_t *text, size_t n,
                             struct beacon_message *ret_message, struct err *err)
{
    uint8_t plain[BEACON_BYTES], sealed[SEALED_BYTES];
    char right_name[MDNS_NAME_MAX];
    size_t n_value = 0;
    const char *value = find_node(text, n, &n_value);
    EVP_CIPHER_CTX *ctx;
    bool is_ours;

    if (!value || n_value != 2 * SEALED_BYTES || !hex_read(value, SEALED_BYTES, sealed))
        return err_set(err, ST_FORMAT, "a TXT record of %zu bytes that no node writes", n);
    name_of(sealed, right_name);
    if (strncmp(name, right_name, strlen(right_name)) != 0)
        return err_set(err, ST_DENIED, "a TXT record under another's name");
    ctx = siv_new(key, 0);
    if (!ctx)
        return err_set(err, ST_NOMEM, "open a record of mDNS");
    is_ours = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, sealed) == 1 &&
              siv_run(ctx, sealed + TAG_BYTES, plain);
    EVP_CIPHER_CTX_free(ctx);
    if (!is_ours)
        return err_set(err, ST_DENIED, "a TXT record of another cluster");
    return beacon_read(plain, sizeof(plain), ret_message, err);
}
