/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/http.h - how requests to servers outside the cluster are made. */
#ifndef POMONA_MODEL_STORE_HTTP_H
#define POMONA_MODEL_STORE_HTTP_H

#include <curl/curl.h>

#include "base/status.h"

/* A handle for `url`: HTTP and HTTPS alone, certificates checked, at most a few redirects and
 * none from HTTPS to HTTP, deadlines on connecting and on silence.
 * token  NULL: none; shown to the URL's own host alone
 * Errors  ST_NOMEM */
enum status http_handle_new(const char *url, const char *token, CURL **ret_curl, struct err *err);

/* The same rules for a handle that has a URL already; deadlines are its owner's.
 * url  the one that was asked for: whether it is HTTPS */
void http_set_rules(CURL *curl, const char *url, const char *token);

/* Seconds after which the server wants to be asked again, of an answer of 429 or 503; 0: it does
 * not say, or it wants more than HTTP_WAIT_MAX_S. */
enum { HTTP_WAIT_MAX_S = 120 };
unsigned http_retry_after_s(CURL *curl, long http_status);

/* What a status of 400 and above means. */
enum status http_refusal(const char *url, long http_status, struct err *err);

#endif
