/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/http.c - how requests to servers outside the cluster are made. */
#include "model/store/http.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum {
    CONNECT_S = 20,
    SILENCE_S = 30,
    REDIRECTS_MAX = 8,
    UNAUTHORIZED = 401,
    FORBIDDEN = 403,
    MISSING = 404,
    TOO_MANY = 429,
    UNAVAILABLE = 503,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in curl_easy_init() */
}

static void allow_protocols(CURL *curl, const char *url)
{
    const bool is_safe = strncmp(url, "https:", 6) == 0;

#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, is_safe ? "https" : "http,https");
#else
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS,
                           (long)(is_safe ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

void http_set_rules(CURL *curl, const char *url, const char *token)
{
    allow_protocols(curl, url);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "pomona/" POMONA_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    if (token) {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        (void)curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
    }
}

enum status http_handle_new(const char *url, const char *token, CURL **ret_curl, struct err *err)
{
    CURL *curl;

    (void)pthread_once(&once, start);
    curl = curl_easy_init();
    if (!curl)
        return err_set(err, ST_NOMEM, "a request to %.100s", url);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    http_set_rules(curl, url, token);
    *ret_curl = curl;
    return ST_OK;
}

unsigned http_retry_after_s(CURL *curl, long http_status)
{
    curl_off_t wait_s = 0;

    if (http_status != TOO_MANY && http_status != UNAVAILABLE)
        return 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait_s);
    return wait_s > 0 && wait_s <= HTTP_WAIT_MAX_S ? (unsigned)wait_s : 0;
}

enum status http_refusal(const char *url, long http_status, struct err *err)
{
    const int n =
        (int)strcspn(url, "?") < 200 ? (int)strcspn(url, "?") : 200; /* after it, maybe keys */

    if (http_status == UNAUTHORIZED || http_status == FORBIDDEN)
        return err_set(err, ST_DENIED,
                       "the server does not give '%.*s' to this user (HTTP status %ld): it may "
                       "want HF_TOKEN, or that you accept the model's terms",
                       n, url, http_status);
    if (http_status == MISSING)
        return err_set(err, ST_NOTFOUND, "there is nothing at '%.*s'", n, url);
    if (http_status == TOO_MANY)
        return err_set(err, ST_PEER, "the server is asked too often; try again later");
    return err_set(err, ST_PEER, "the server answers '%.*s' with HTTP status %ld", n, url,
                   http_status);
}
