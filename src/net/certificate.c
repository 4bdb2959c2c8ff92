/* SPDX-License-Identifier: Apache-2.0 */
/* net/certificate.c - a certificate and its key as an OpenSSL context.
 *
 * TLS 1.2 has forward-secret AEAD suites alone (RFC 9325, section 4.2), no renegotiation and no
 * compression.  There are no tickets: their keys would outlive the certificate they were made under.
 */
#include "net/certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

enum { FILE_MAX_BYTES = 1 << 20 };

struct certificate {
    SSL_CTX *context;
    uint32_t n_refs;
};

static const char suites_1_2[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const unsigned char alpn[] = "\x08http/1.1";

/* A passphrase is never asked for on a terminal. */
static int no_passphrase(char *text, int n, int rwflag, void *arg)
{
    (void)text;
    (void)n;
    (void)rwflag;
    (void)arg;
    return 0;
}

static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
                   const unsigned char *offered, unsigned n_offered, void *arg)
{
    unsigned char *chosen;

    (void)ssl;
    (void)arg;
    /* RFC 7301, section 3.2: who offers nothing that we speak is told so, not answered in it */
    if (SSL_select_next_proto(&chosen, ret_n, alpn, sizeof(alpn) - 1, offered, n_offered) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_up(SSL_CTX *ctx, enum certificate_tls min)
{
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    return SSL_CTX_set_min_proto_version(ctx, min == CERTIFICATE_TLS_1_3 ? TLS1_3_VERSION
                                                                         : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, suites_1_2) == 1 && SSL_CTX_set_num_tickets(ctx, 0) == 1;
}

/* The first reason that OpenSSL has, if it has one; memory, where that is one of its reasons. */
static enum status ssl_fault(enum status s, const char *path, const char *what, struct err *err)
{
    const unsigned long code = ERR_peek_error();
    const char *why = code ? ERR_reason_error_string(code) : NULL;
    bool has_no_memory = false;
    unsigned long each;

    while ((each = ERR_get_error()) != 0)
        has_no_memory |= ERR_GET_REASON(each) == ERR_R_MALLOC_FAILURE;
    if (has_no_memory)
        return err_set(err, ST_NOMEM, "read %s", path);
    return err_set(err, s, "%s: %s%s%s", path, what, why ? ": " : "", why ? why : "");
}

static enum status check_readable(const char *path, struct err *err)
{
    struct buf content = { 0 };
    const enum status s = file_read(path, FILE_MAX_BYTES, &content, err);

    if (content.len > 0)
        OPENSSL_cleanse(content.data, content.len);
    buf_release(&content);
    return s;
}

static enum status check_dates(SSL_CTX *ctx, const char *path, struct err *err)
{
    const X509 *x = SSL_CTX_get0_certificate(ctx);

    if (x && X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
        return err_set(err, ST_RANGE, "%s: the certificate expired; get a new one", path);
    return ST_OK;
}

static enum status load(SSL_CTX *ctx, const char *chain_path, const char *key_path, struct err *err)
{
    enum status s = check_readable(chain_path, err);

    if (s == ST_OK)
        s = check_readable(key_path, err);
    if (s != ST_OK)
        return s;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, chain_path) != 1)
        return ssl_fault(ST_FORMAT, chain_path, "this is no certificate in PEM", err);
    if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1)
        return ssl_fault(ST_FORMAT, key_path,
                         "this is no private key in PEM without a passphrase, or not that of "
                         "the certificate",
                         err);
    if (SSL_CTX_check_private_key(ctx) != 1)
        return ssl_fault(ST_RANGE, key_path, "this is not the key of the certificate", err);
    return check_dates(ctx, chain_path, err);
}

enum status certificate_load(const char *chain_path, const char *key_path, enum certificate_tls min,
                             struct certificate **ret, struct err *err)
{
    struct certificate *c = calloc(1, sizeof(*c));
    enum status s = ST_OK;

    if (c)
        c->context = SSL_CTX_new(TLS_server_method());
    if (!c || !c->context || !set_up(c->context, min))
        s = err_set(err, ST_NOMEM, "TLS with the certificate %s", chain_path);
    if (s == ST_OK)
        s = load(c->context, chain_path, key_path, err);
    if (s != ST_OK) {
        if (c)
            SSL_CTX_free(c->context);
        free(c);
        return s;
    }
    c->n_refs = 1;
    *ret = c;
    return ST_OK;
}

struct certificate *certificate_ref(struct certificate *certificate)
{
    (void)__atomic_add_fetch(&certificate->n_refs, 1, __ATOMIC_RELAXED);
    return certificate;
}

void certificate_unref(struct certificate *certificate)
{
    if (!certificate || __atomic_sub_fetch(&certificate->n_refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    SSL_CTX_free(certificate->context);
    free(certificate);
}

struct ssl_st *certificate_session(struct certificate *certificate)
{
    return SSL_new(certificate->context);
}
