/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/request_id.h - the name of a request: the client's own, or a new one. */
#ifndef POMONA_GATEWAY_HTTP_REQUEST_ID_H
#define POMONA_GATEWAY_HTTP_REQUEST_ID_H

enum { X_REQUEST_ID_MAX = 129 }; /* NUL included */

/* A client's id is shown again only in characters that cannot break a header or a log line.
 * given  of the header; NULL: none
 * ret    [X_REQUEST_ID_MAX] */
void request_id_choose(const char *given, char *ret);

#endif
