/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm_http.c - one request to a source on libcurl's multi interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/share/swarm_priv.h"
#include "model/store/http.h"
#include "net/tls.h"

enum {
    CONNECT_MS = 3000,
    HUB_CONNECT_MS = 20000,
    HUB_SLOW_S = 20, /* it may look for the file first */
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    MISSING = 404,
    GONE = 410,
    TOO_MANY = 429,
    SLOW_S = 5, /* below SLOW_BYTES_PER_S for so long is a failure */
    SLOW_BYTES_PER_S = 1024,
    BUFFER_BYTES = 256 << 10, /* of libcurl: fewer calls a megabyte than its 16 KiB */
};

/* libcurl's write callback: anything but n ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    n *= size;
    if (t != &t->swarm->news)
        t->swarm->heard_ns = clock_ns();
    if (n > t->n_max - t->n)
        return 0;
    memcpy(t->bytes + t->n, bytes, n);
    t->n += n;
    return n;
}

static enum status add_header(struct transfer *t, const char *name, const char *value,
                              struct err *err)
{
    char line[256];
    struct curl_slist *longer;

    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    longer = curl_slist_append(t->headers, line);
    if (!longer)
        return err_set(err, ST_NOMEM, "the headers of a request");
    t->headers = longer;
    return ST_OK;
}

static enum status make_headers(struct transfer *t, const char *range, struct err *err)
{
    curl_slist_free_all(t->headers);
    t->headers = NULL;
    return range[0] ? add_header(t, "Range", range, err) : ST_OK;
}

/* libcurl's callback for each new connection. */
static CURLcode on_context(CURL *curl, void *context, void *arg)
{
    (void)curl;
    return tls_set_up_client(arg, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

/* The key stands in for certificates: tls_set_up_client() refuses any, so libcurl need not look. */
static void set_security(struct transfer *t)
{
    (void)curl_easy_setopt(t->curl, CURLOPT_SSL_CTX_FUNCTION, on_context);
    (void)curl_easy_setopt(t->curl, CURLOPT_SSL_CTX_DATA, t->swarm->tls);
    (void)curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYPEER, 0L);
    (void)curl_easy_setopt(t->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    (void)curl_easy_setopt(t->curl, CURLOPT_SSL_ENABLE_ALPN, 0L);
}

static enum status make_room(struct transfer *t, size_t n_max, struct err *err)
{
    uint8_t *bytes;

    t->n = 0;
    if (t->bytes && t->n_max == n_max)
        return ST_OK;
    bytes = realloc(t->bytes, n_max);
    if (!bytes)
        return err_set(err, ST_NOMEM, "%zu bytes of a model", n_max);
    t->bytes = bytes;
    t->n_max = n_max;
    return ST_OK;
}

static void set_options(struct transfer *t, const char *url)
{
    CURL *curl = t->curl;

    curl_easy_reset(curl); /* options alone: connections are kept */
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, t->headers);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
    (void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "pomona/" POMONA_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, t);
}

/* Where the hub sent on to needs no token, and is not shown it. */
static void set_hub_options(struct transfer *t)
{
    const struct source *source = t->source;

    (void)curl_easy_setopt(t->curl, CURLOPT_PROXY, NULL); /* as HTTPS_PROXY says */
    (void)curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)HUB_CONNECT_MS);
    (void)curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, (long)HUB_SLOW_S);
    http_set_rules(t->curl, source->url, source->direct_url ? NULL : t->swarm->options.hub_token);
}

/* A name for a source of several addresses, which libcurl tries in their order; `.invalid` is
 * nobody's (RFC 2606, section 2). */
static enum status name_source(struct transfer *t, char *ret_name, size_t capacity, struct err *err)
{
    const struct source *source = t->source;
    char line[SWARM_HOST_MAX + SWARM_ADDRESSES_MAX + 16];

    curl_slist_free_all(t->resolve);
    t->resolve = NULL;
    (void)snprintf(ret_name, capacity, strchr(source->host, ':') ? "[%s]" : "%s", source->host);
    if (!source->addresses[0])
        return ST_OK;
    (void)snprintf(ret_name, capacity, "source-%zu.invalid", (size_t)(source - t->swarm->sources));
    (void)snprintf(line, sizeof(line), "%s:%u:%s", ret_name, source->port, source->addresses);
    t->resolve = curl_slist_append(NULL, line);
    return t->resolve ? ST_OK : err_set(err, ST_NOMEM, "the addresses of a source");
}

static enum status set_url(struct transfer *t, const char *path, struct err *err)
{
    const struct source *source = t->source;
    char name[SWARM_HOST_MAX + 2];
    char url[sizeof(name) + 96];
    enum status s;

    if (source->kind == SOURCE_HUB) {
        set_options(t, source->direct_url ? source->direct_url : source->url);
        set_hub_options(t);
        return ST_OK;
    }
    s = name_source(t, name, sizeof(name), err);
    if (s != ST_OK)
        return s;
    (void)snprintf(url, sizeof(url), "%s://%s:%u%s", t->swarm->tls ? "https" : "http", name,
                   source->port, path);
    set_options(t, url);
    (void)curl_easy_setopt(t->curl, CURLOPT_RESOLVE, t->resolve);
    if (t->swarm->tls)
        set_security(t);
    return ST_OK;
}

enum status transfer_begin(struct transfer *t, struct source *source, const char *what,
                           const char *range, size_t n_max, struct err *err)
{
    char path[64];
    enum status s;

    (void)snprintf(path, sizeof(path), "/model/%s/%s", t->swarm->digest, what);
    t->source = source;
    if (!t->curl)
        t->curl = curl_easy_init();
    s = t->curl ? make_room(t, n_max, err) : err_set(err, ST_NOMEM, "a request for a model");
    if (s == ST_OK)
        s = make_headers(t, range, err);
    if (s == ST_OK)
        s = set_url(t, path, err);
    if (s == ST_OK && curl_multi_add_handle(t->swarm->multi, t->curl) != CURLM_OK)
        s = err_set(err, ST_NOMEM, "libcurl takes no more requests");
    if (s != ST_OK) {
        t->source = NULL;
        return s;
    }
    t->begun_ns = clock_ns();
    source->n_active++;
    return ST_OK;
}

/* A hub's answer came from where it sent on to: the next requests go there at once. */
static void keep_direct_url(struct transfer *t)
{
    struct source *source = t->source;
    char *url = NULL;

    if (source->kind != SOURCE_HUB || source->direct_url ||
        curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url ||
        strcmp(url, source->url) == 0)
        return;
    source->direct_url = strdup(url); /* NULL: the hub is asked each time */
}

/* The time it names, not too long; false: it names none. */
static bool wait_for_hub(struct transfer *t, long http_status)
{
    struct source *source = t->source;
    const unsigned wait_s = http_retry_after_s(t->curl, http_status);

    if (wait_s == 0)
        return false;
    if (source->rests_until_ns > clock_ns())
        return true; /* it said so to another request, too */
    source->rests_until_ns = deadline_after_ms(1000ull * wait_s);
    t->swarm->heard_ns = source->rests_until_ns; /* waiting is not a stall */
    return ++source->n_failures < SWARM_FAILURES_MAX;
}

void source_refused(struct transfer *t, long http_status)
{
    struct source *source = t->source;
    struct err why = { 0 };
    char *url = NULL;

    (void)http_refusal(source->url, http_status, &why);
    (void)curl_easy_getinfo(t->curl, CURLINFO_EFFECTIVE_URL, &url);
    if (url && strcmp(url, source->url) != 0) { /* where it sent on to: good for a time only */
        free(source->direct_url);
        source->direct_url = NULL;
        source_failed(t->swarm, source, why.words);
        return;
    }
    if (wait_for_hub(t, http_status))
        return;
    if (http_status == UNAUTHORIZED || http_status == FORBIDDEN || http_status == MISSING ||
        http_status == GONE || http_status == TOO_MANY)
        source_lied(t->swarm, source, why.words);
    else
        source_failed(t->swarm, source, why.words);
}

void transfer_end(struct transfer *t)
{
    if (!t->source)
        return;
    t->source->n_active--;
    t->source = NULL;
    (void)curl_multi_remove_handle(t->swarm->multi, t->curl);
}

void transfer_release(struct transfer *t)
{
    if (t->swarm)
        transfer_end(t);
    curl_easy_cleanup(t->curl);
    curl_slist_free_all(t->headers);
    curl_slist_free_all(t->resolve);
    free(t->bytes);
}

enum status swarm_turn(struct swarm *swarm, int wait_ms, struct err *err)
{
    int n_running;

    if (curl_multi_perform(swarm->multi, &n_running) != CURLM_OK ||
        curl_multi_poll(swarm->multi, NULL, 0, wait_ms, NULL) != CURLM_OK ||
        curl_multi_perform(swarm->multi, &n_running) != CURLM_OK)
        return err_set(err, ST_NOMEM, "libcurl could not go on");
    return ST_OK;
}

struct transfer *swarm_ended(struct swarm *swarm, long *ret_http_status, const char **ret_words)
{
    const CURLMsg *message;
    void *transfer = NULL;
    int n_left;

    do {
        message = curl_multi_info_read(swarm->multi, &n_left);
        if (!message)
            return NULL;
    } while (message->msg != CURLMSG_DONE);
    *ret_words = message->data.result == CURLE_OK ? NULL : curl_easy_strerror(message->data.result);
    *ret_http_status = 0;
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, ret_http_status);
    (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
    if (transfer && *ret_http_status / 100 == 2)
        keep_direct_url(transfer);
    return transfer;
}
