/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/reason.h - words beside a status. */
#ifndef POMONA_GATEWAY_HTTP_REASON_H
#define POMONA_GATEWAY_HTTP_REASON_H

/* NULL where there are none of ours. */
const char *http_reason(int http_status);

#endif
