/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm_http.c - one request to a source on libcurl's multi interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/share/proof.h"
#include "model/share/swarm_priv.h"

enum {
    CONNECT_MS = 3000,
    SLOW_S = 5, /* below SLOW_BYTES_PER_S for so long is a failure */
    SLOW_BYTES_PER_S = 1024,
    BUFFER_BYTES = 256 << 10, /* of libcurl: fewer calls a megabyte than its 16 KiB */
};

/* libcurl's write callback: anything but n ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    n *= size;
    t->swarm->n_received += n;
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

static enum status make_headers(struct transfer *t, const char *path, const char *range,
                                struct err *err)
{
    const uint8_t *key = t->swarm->options.key;
    char proof[PROOF_TEXT_MAX];
    enum status s = ST_OK;

    curl_slist_free_all(t->headers);
    t->headers = NULL;
    if (range[0])
        s = add_header(t, "Range", range, err);
    if (s == ST_OK && key)
        s = proof_make(key, path, range, proof) ? add_header(t, PROOF_HEADER, proof, err)
                                                : err_set(err, ST_NOMEM, "the proof of a request");
    return s;
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

enum status transfer_begin(struct transfer *t, struct source *source, const char *what,
                           const char *range, size_t n_max, struct err *err)
{
    const bool is_v6 = strchr(source->host, ':') != NULL;
    char path[64], url[SWARM_HOST_MAX + 96];
    enum status s;

    (void)snprintf(path, sizeof(path), "/model/%s/%s", t->swarm->digest, what);
    (void)snprintf(url, sizeof(url), is_v6 ? "http://[%s]:%u%s" : "http://%s:%u%s", source->host,
                   source->port, path);
    if (!t->curl)
        t->curl = curl_easy_init();
    s = t->curl ? make_room(t, n_max, err) : err_set(err, ST_NOMEM, "a request for a model");
    if (s == ST_OK)
        s = make_headers(t, path, range, err);
    if (s != ST_OK)
        return s;
    set_options(t, url);
    if (curl_multi_add_handle(t->swarm->multi, t->curl) != CURLM_OK)
        return err_set(err, ST_NOMEM, "libcurl takes no more requests");
    t->source = source;
    t->begun_ns = clock_ns();
    source->n_active++;
    return ST_OK;
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
    return transfer;
}
