/* SPDX-License-Identifier: Apache-2.0 */
/* net/tls.c - TLS 1.3 between nodes and runners, with the cluster's key instead of certificates. */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

enum {
    PSK_BYTES = 32,
    IDENTITY_BYTES = 16,
    RECORDS_PER_KEY = 1 << 23, /* a third of the 2^24.5 that are allowed */
};

/* RFC 8446 appendix B.4 */
static const unsigned char cipher_id[] = { 0x13, 0x01 };
static const char cipher_name[] = "TLS_AES_128_GCM_SHA256";

struct tls {
    SSL_CTX *side[2]; /* by enum tls_side */
    uint8_t psk[PSK_BYTES];
    uint8_t identity[IDENTITY_BYTES];
};

/* The key in the form that OpenSSL's callbacks hand over; NULL where it cannot be made. */
static SSL_SESSION *psk_session(const struct tls *tls, SSL *ssl)
{
    const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, cipher_id);
    SSL_SESSION *session = cipher ? SSL_SESSION_new() : NULL;

    if (session && SSL_SESSION_set1_master_key(session, tls->psk, sizeof(tls->psk)) == 1 &&
        SSL_SESSION_set_cipher(session, cipher) == 1 &&
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

static struct tls *tls_of(SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* `md` is set when a HelloRetryRequest has fixed the hash already. */
static int on_use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **ret_identity,
                      size_t *ret_n_identity, SSL_SESSION **ret_session)
{
    const struct tls *tls = tls_of(ssl);

    *ret_session = NULL;
    if (md && !EVP_MD_is_a(md, "SHA256"))
        return 1;
    *ret_session = psk_session(tls, ssl);
    *ret_identity = tls->identity;
    *ret_n_identity = sizeof(tls->identity);
    return *ret_session != NULL;
}

static int on_find_psk(SSL *ssl, const unsigned char *identity, size_t n_identity,
                       SSL_SESSION **ret_session)
{
    const struct tls *tls = tls_of(ssl);

    *ret_session = NULL; /* not known: the handshake fails for want of a certificate */
    if (n_identity != sizeof(tls->identity) ||
        !secret_equal(identity, tls->identity, sizeof(tls->identity)))
        return 1;
    *ret_session = psk_session(tls, ssl);
    return *ret_session != NULL;
}

static bool context_set_up(SSL_CTX *ctx, struct tls *tls)
{
    SSL_CTX_set_app_data(ctx, tls);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, cipher_name) == 1 &&
           SSL_CTX_set1_groups_list(ctx, "X25519:P-256") == 1 &&
           SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

/* No certificate ever stands in for the key, whatever the system trusts. */
static int on_certificate(X509_STORE_CTX *certificate, void *arg)
{
    (void)certificate;
    (void)arg;
    return 0;
}

static void client_set_up(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, on_certificate, NULL);
    SSL_CTX_set_psk_use_session_callback(ctx, on_use_psk);
}

bool tls_set_up_client(struct tls *tls, SSL_CTX *ctx)
{
    if (!context_set_up(ctx, tls))
        return false;
    client_set_up(ctx);
    return true;
}

enum status tls_new(const struct cluster_key *key, const char *name_space, struct tls **ret_tls,
                    struct err *err)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    enum status s;

    if (!tls)
        return err_set(err, ST_NOMEM, "TLS with the key of '%s'", name_space);
    s = cluster_key_derive(key, "tls psk", name_space, tls->psk, sizeof(tls->psk), err);
    if (s == ST_OK)
        s = cluster_key_derive(key, "tls identity", name_space, tls->identity,
                               sizeof(tls->identity), err);
    if (s != ST_OK) {
        tls_free(tls);
        return s;
    }
    tls->side[TLS_CLIENT] = SSL_CTX_new(TLS_client_method());
    tls->side[TLS_SERVER] = SSL_CTX_new(TLS_server_method());
    for (size_t i = 0; i < 2; i++)
        if (!tls->side[i] || !context_set_up(tls->side[i], tls)) {
            ERR_clear_error();
            tls_free(tls);
            return err_set(err, ST_UNSUPPORTED, "OpenSSL of this machine does not do %s",
                           cipher_name);
        }
    client_set_up(tls->side[TLS_CLIENT]);
    SSL_CTX_set_psk_find_session_callback(tls->side[TLS_SERVER], on_find_psk);
    *ret_tls = tls;
    return ST_OK;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->side[TLS_CLIENT]);
    SSL_CTX_free(tls->side[TLS_SERVER]);
    cluster_key_wipe(tls, sizeof(*tls));
    free(tls);
}

SSL *tls_session(struct tls *tls, enum tls_side side)
{
    return SSL_new(tls->side[side]);
}

void tls_renew(SSL *session, uint64_t *n_records)
{
    /* refused while a record is half sent: then the next one tries again */
    if (++*n_records >= RECORDS_PER_KEY &&
        SSL_key_update(session, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
        *n_records = 0;
}

bool tls_used_key(const SSL *session)
{
    /* a pre-shared key counts as resumption; nothing else can resume here */
    return SSL_session_reused(session) == 1 && SSL_version(session) == TLS1_3_VERSION;
}
