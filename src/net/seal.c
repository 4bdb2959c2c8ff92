/* SPDX-License-Identifier: Apache-2.0 */
/* net/seal.c - datagrams that only holders of the cluster key can write, read or tell apart. */
#include "net/seal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/secret.h"

enum {
    MAGIC_BYTES = 4,
    BOOT_AT = 4,
    COUNTER_AT = 12,
    TIME_AT = 18,
    HEADER_BYTES = 24,
    TAG_BYTES = 16,
    ENCRYPT_KEY_BYTES = 32,
    MAC_KEY_BYTES = 32,
    BLOCK_BYTES = 16,
};

_Static_assert((int)HEADER_BYTES + (int)TAG_BYTES == (int)SEAL_OVERHEAD_BYTES, "as documented");

static const uint8_t magic[MAGIC_BYTES] = { 'P', 'M', 'N', '1' };
static const uint64_t U48_MAX = ((uint64_t)1 << 48) - 1;

struct seal_keys {
    uint8_t encrypt[ENCRYPT_KEY_BYTES];
    uint8_t mac[MAC_KEY_BYTES];
};

struct sealer {
    struct seal_keys keys;
    EVP_CIPHER_CTX *cipher;
    uint64_t boot, counter;
};

struct boot {
    uint64_t id;
    uint64_t highest; /* counter; 0: this entry is free */
    uint64_t seen;    /* bit i: highest - i has come */
    uint64_t last_ms; /* latest time stamped on one of its datagrams */
};

struct opener {
    struct seal_keys keys;
    EVP_CIPHER_CTX *cipher;
    size_t n_boots;
    struct boot boots[SEAL_BOOTS_MAX];
};

static void put(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static uint64_t get(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static enum status keys_derive(struct seal_keys *keys, const struct cluster_key *key,
                               const char *purpose, const char *name_space, struct err *err)
{
    uint8_t both[ENCRYPT_KEY_BYTES + MAC_KEY_BYTES];
    const enum status s = cluster_key_derive(key, purpose, name_space, both, sizeof(both), err);

    if (s == ST_OK) {
        memcpy(keys->encrypt, both, sizeof(keys->encrypt));
        memcpy(keys->mac, both + sizeof(keys->encrypt), sizeof(keys->mac));
    }
    cluster_key_wipe(both, sizeof(both));
    return s;
}

static bool tag_of(const struct seal_keys *keys, const uint8_t *bytes, size_t n, uint8_t *ret_tag)
{
    uint8_t whole[EVP_MAX_MD_SIZE];
    unsigned n_whole = 0;

    if (!HMAC(EVP_sha256(), keys->mac, sizeof(keys->mac), bytes, n, whole, &n_whole) ||
        n_whole < TAG_BYTES)
        return false;
    memcpy(ret_tag, whole, TAG_BYTES);
    return true;
}

/* Counter mode is its own inverse. */
static bool crypt_payload(EVP_CIPHER_CTX *cipher, const struct seal_keys *keys,
                          const uint8_t *header, const uint8_t *in, size_t n, uint8_t *out)
{
    uint8_t first_block[BLOCK_BYTES] = { 0 };
    int n_out = 0;

    memcpy(first_block, header + BOOT_AT, TIME_AT - BOOT_AT);
    return EVP_EncryptInit_ex(cipher, EVP_aes_256_ctr(), NULL, keys->encrypt, first_block) == 1 &&
           EVP_EncryptUpdate(cipher, out, &n_out, in, (int)n) == 1 && (size_t)n_out == n;
}

enum status sealer_new(const struct cluster_key *key, const char *purpose, const char *name_space,
                       struct sealer **ret_sealer, struct err *err)
{
    struct sealer *sealer = calloc(1, sizeof(*sealer));
    enum status s = ST_OK;

    if (!sealer || !(sealer->cipher = EVP_CIPHER_CTX_new()))
        s = err_set(err, ST_NOMEM, "the seal of datagrams");
    if (s == ST_OK)
        s = keys_derive(&sealer->keys, key, purpose, name_space, err);
    if (s != ST_OK) {
        sealer_free(sealer);
        return s;
    }
    sealer->boot = random_u64();
    *ret_sealer = sealer;
    return ST_OK;
}

void sealer_free(struct sealer *sealer)
{
    if (!sealer)
        return;
    EVP_CIPHER_CTX_free(sealer->cipher);
    cluster_key_wipe(sealer, sizeof(*sealer));
    free(sealer);
}

enum status seal(struct sealer *sealer, const uint8_t *payload, size_t n, uint64_t now_unix_ms,
                 uint8_t *ret_sealed, struct err *err)
{
    uint8_t *body = ret_sealed + HEADER_BYTES;

    if (n > SEAL_PAYLOAD_MAX_BYTES)
        return err_set(err, ST_RANGE, "%zu bytes are too long for a datagram", n);
    if (sealer->counter == U48_MAX)
        return err_set(err, ST_FULL, "this node has sent all the datagrams of its counter");
    sealer->counter++;
    memcpy(ret_sealed, magic, MAGIC_BYTES);
    put(ret_sealed + BOOT_AT, sealer->boot, COUNTER_AT - BOOT_AT);
    put(ret_sealed + COUNTER_AT, sealer->counter, TIME_AT - COUNTER_AT);
    put(ret_sealed + TIME_AT, now_unix_ms & U48_MAX, HEADER_BYTES - TIME_AT);
    if (!crypt_payload(sealer->cipher, &sealer->keys, ret_sealed, payload, n, body) ||
        !tag_of(&sealer->keys, ret_sealed, HEADER_BYTES + n, body + n))
        return err_set(err, ST_NOMEM, "a datagram could not be sealed");
    return ST_OK;
}

enum status opener_new(const struct cluster_key *key, const char *purpose, const char *name_space,
                       struct opener **ret_opener, struct err *err)
{
    struct opener *opener = calloc(1, sizeof(*opener));
    enum status s = ST_OK;

    if (!opener || !(opener->cipher = EVP_CIPHER_CTX_new()))
        s = err_set(err, ST_NOMEM, "the opener of datagrams");
    if (s == ST_OK)
        s = keys_derive(&opener->keys, key, purpose, name_space, err);
    if (s != ST_OK) {
        opener_free(opener);
        return s;
    }
    *ret_opener = opener;
    return ST_OK;
}

void opener_free(struct opener *opener)
{
    if (!opener)
        return;
    EVP_CIPHER_CTX_free(opener->cipher);
    cluster_key_wipe(&opener->keys, sizeof(opener->keys));
    free(opener);
}

/* A boot may be forgotten once every datagram of it that was taken is too old
 * to be taken again. */
static bool may_forget(const struct boot *b, uint64_t now_ms)
{
    return now_ms > b->last_ms + SEAL_CLOCK_SKEW_MS;
}

/* The entry of `id`, or one to use for it; NULL where there is neither. */
static struct boot *boot_entry(struct opener *opener, uint64_t id, uint64_t now_ms)
{
    struct boot *spare = NULL;

    for (size_t i = 0; i < opener->n_boots; i++) {
        if (opener->boots[i].id == id)
            return &opener->boots[i];
        if (!spare && may_forget(&opener->boots[i], now_ms))
            spare = &opener->boots[i];
    }
    if (!spare && opener->n_boots < SEAL_BOOTS_MAX)
        spare = &opener->boots[opener->n_boots++];
    if (spare)
        *spare = (struct boot){ .id = id };
    return spare;
}

/* Note that `counter` came; false where it came before or is too far behind to tell. */
static bool counter_take(struct boot *b, uint64_t counter)
{
    if (counter > b->highest) {
        const uint64_t step = counter - b->highest;

        b->seen = (step < SEAL_WINDOW ? b->seen << step : 0) | 1;
        b->highest = counter;
        return true;
    }
    if (b->highest - counter >= SEAL_WINDOW || (b->seen >> (b->highest - counter) & 1))
        return false;
    b->seen |= (uint64_t)1 << (b->highest - counter);
    return true;
}

static bool is_genuine(const struct opener *opener, const uint8_t *sealed, size_t n_sealed)
{
    uint8_t tag[TAG_BYTES];

    if (n_sealed < SEAL_OVERHEAD_BYTES || n_sealed > SEAL_MAX_BYTES ||
        memcmp(sealed, magic, MAGIC_BYTES) != 0)
        return false;
    return tag_of(&opener->keys, sealed, n_sealed - TAG_BYTES, tag) &&
           secret_equal(tag, sealed + n_sealed - TAG_BYTES, TAG_BYTES);
}

enum status seal_open(struct opener *opener, const uint8_t *sealed, size_t n_sealed,
                      uint64_t now_unix_ms, uint8_t *ret_payload, struct opened *ret_opened,
                      struct err *err)
{
    uint64_t boot_id, counter, sent_ms;
    struct boot *boot;
    size_t n;

    if (!is_genuine(opener, sealed, n_sealed))
        return err_set(err, ST_DENIED, "a datagram is not of this cluster");
    n = n_sealed - SEAL_OVERHEAD_BYTES;
    boot_id = get(sealed + BOOT_AT, COUNTER_AT - BOOT_AT);
    counter = get(sealed + COUNTER_AT, TIME_AT - COUNTER_AT);
    sent_ms = get(sealed + TIME_AT, HEADER_BYTES - TIME_AT);
    if (sent_ms + SEAL_CLOCK_SKEW_MS < now_unix_ms || now_unix_ms + SEAL_CLOCK_SKEW_MS < sent_ms)
        return err_set(err, ST_RANGE,
                       "a datagram's clock is %.0f s away from this machine's; set "
                       "both clocks",
                       ((double)sent_ms - (double)now_unix_ms) / 1000.0);
    boot = boot_entry(opener, boot_id, now_unix_ms);
    if (!boot)
        return err_set(err, ST_FULL, "more than %d senders of datagrams", SEAL_BOOTS_MAX);
    if (counter == 0 || !counter_take(boot, counter))
        return err_set(err, ST_DENIED, "a datagram came twice");
    if (sent_ms > boot->last_ms)
        boot->last_ms = sent_ms;
    if (!crypt_payload(opener->cipher, &opener->keys, sealed, sealed + HEADER_BYTES, n,
                       ret_payload))
        return err_set(err, ST_NOMEM, "a datagram could not be opened");
    *ret_opened = (struct opened){ boot_id, n };
    return ST_OK;
}
