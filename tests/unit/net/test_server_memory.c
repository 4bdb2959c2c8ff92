/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_server_memory.c - what a server needs before its first client, where memory runs out. */
#include "support/check.h"

#include <event2/event.h>
#include <event2/http.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/certificate.h"
#include "net/http_guard.h"
#include "support/allocations.h"

enum { ALLOCATIONS_MAX = 100000, DAY_S = 86400, STEP = 17 /* there are thousands */ };

/* Of libraries, so that theirs are counted, too. */
static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(n);
}

static void *ssl_realloc(void *memory, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(memory, n);
}

static void ssl_free(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

static void *event_malloc(size_t n)
{
    return malloc(n);
}

static void *event_realloc(void *memory, size_t n)
{
    return realloc(memory, n);
}

static void event_release(void *memory)
{
    free(memory);
}

static char chain_path[] = "/tmp/pomona-chain-XXXXXX", key_path[] = "/tmp/pomona-key-XXXXXX";

static FILE *temporary(char *path)
{
    const int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;

    assert_non_null(file);
    return file;
}

/* Signed by itself, for a day. */
static int write_certificate(void **state)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *x = X509_new();
    FILE *chain = temporary(chain_path), *secret = temporary(key_path);

    (void)state;
    assert_true(key && x);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), DAY_S));
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(chain, x), 1);
    assert_int_equal(PEM_write_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(chain);
    (void)fclose(secret);
    X509_free(x);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_certificate(void **state)
{
    (void)state;
    (void)unlink(chain_path);
    (void)unlink(key_path);
    return 0;
}

/* Allocations inside of OpenSSL can fail without harm: then the certificate is there. */
static void a_certificate_is_read_whole_or_not_at_all(void **state)
{
    const size_t step = getenv("POMONA_TEST_FULL") ? 1 : STEP;
    struct certificate *c = NULL;
    struct err err = { 0 };
    bool has_failed = true;

    (void)state;
    assert_ok(certificate_load(chain_path, key_path, CERTIFICATE_TLS_1_2, &c, &err), err);
    certificate_unref(c); /* what the library makes once is made */
    for (size_t k = 1; has_failed; k += step) {
        enum status s;

        assert_in_range(k, 1, ALLOCATIONS_MAX);
        c = NULL;
        err = (struct err){ 0 };
        allocations_fail_at(k);
        s = certificate_load(chain_path, key_path, CERTIFICATE_TLS_1_2, &c, &err);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if ((s == ST_OK) != (c != NULL) || (s != ST_OK && !err.words[0]))
            fail_msg("allocation %zu: %d, '%s'", k, (int)s, err.words);
        certificate_unref(c);
    }
}

static void a_guard_is_made_or_says_why_not(void **state)
{
    const struct guard_bounds bounds = { .n_connections = 4, .n_per_address = 2, .header_s = 1 };
    struct loop *loop = NULL;
    struct evhttp *http;
    struct evhttp_bound_socket *socket;
    struct err err = { 0 };
    bool has_failed = true;

    (void)state;
    assert_ok(loop_new(&loop, &err), err);
    http = evhttp_new(loop_base(loop));
    assert_non_null(http);
    socket = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    assert_non_null(socket);
    for (size_t k = 1; has_failed; k++) {
        struct guard *guard = NULL;
        enum status s;

        allocations_fail_at(k);
        s = guard_new(loop, http, socket, &bounds, &guard, &err);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        assert_int_equal(s, has_failed ? ST_NOMEM : ST_OK);
        assert_true((s == ST_OK) == (guard != NULL));
        guard_free(guard);
    }
    evhttp_free(http);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_guard_is_made_or_says_why_not),
    };

    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1)
        return 1;
    event_set_mem_functions(event_malloc, event_realloc, event_release);
    return cmocka_run_group_tests_name("net/server memory", tests, write_certificate,
                                       remove_certificate);
}
