/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/date.h - the time as an answer's header has it (RFC 9110, section 5.6.7), written once a second. */
#ifndef POMONA_GATEWAY_HTTP_DATE_H
#define POMONA_GATEWAY_HTTP_DATE_H

#include <stdint.h>

enum { HTTP_DATE_MAX = 32 };

struct http_date {
    int64_t at_s; /* what `text` says */
    char text[HTTP_DATE_MAX];
};

/* Lent until the next call.  unix_s  now, later than 0 */
const char *http_date_text(struct http_date *date, int64_t unix_s);

#endif
