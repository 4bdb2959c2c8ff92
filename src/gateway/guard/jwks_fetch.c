/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwks_fetch.c - get an issuer's keys from its URL, with libcurl. */
#include "gateway/guard/jwks_fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

enum { CONNECT_MS = 3000 };

struct reply {
    struct buf body;
    uint32_t max_age_s;
};

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct reply *r = arg;

    if (r->body.len + size * n > JWKS_BYTES_MAX)
        return 0; /* ends the transfer */
    buf_append(&r->body, bytes, size * n);
    return buf_status(&r->body) == ST_OK ? size * n : 0;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
    static const char name[] = "cache-control:", age[] = "max-age=";
    struct reply *r = arg;
    char line[256];
    const char *at;

    if (size * n < sizeof(line) && size * n > sizeof(name) &&
        strncasecmp(bytes, name, sizeof(name) - 1) == 0) {
        memcpy(line, bytes, size * n);
        line[size * n] = '\0';
        at = strstr(line, age);
        if (at)
            r->max_age_s = (uint32_t)strtoul(at + sizeof(age) - 1, NULL, 10);
    }
    return size * n;
}

static void set_up(CURL *curl, const char *url, struct reply *reply)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)JWKS_FETCH_MS);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, reply);
}

enum status jwks_fetch(const char *url, struct jwks **ret_set, uint32_t *ret_max_age_s,
                       struct err *err)
{
    CURL *curl = curl_easy_init();
    struct reply reply = { 0 };
    enum status s;
    CURLcode code;

    if (!curl)
        return err_set(err, ST_NOMEM, "no memory to fetch keys");
    set_up(curl, url, &reply);
    code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        s = jwks_parse(buf_text(&reply.body), reply.body.len, ret_set, err);
    else
        s = err_set(err, ST_PEER, "%s", curl_easy_strerror(code));
    if (s == ST_OK)
        *ret_max_age_s = reply.max_age_s;
    curl_easy_cleanup(curl);
    buf_release(&reply.body);
    return s;
}
