/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/refusal.h - the answer to a request that evhttp does not get to see. */
#ifndef POMONA_GATEWAY_HTTP_REFUSAL_H
#define POMONA_GATEWAY_HTTP_REFUSAL_H

#include "gateway/http/api_error.h"

struct refusal {
    int http_status; /* 0: as the error says */
    const struct api_error *error;
    const struct error_shape *errors; /* NULL: OpenAI's */
    const char *id;                   /* the x-request-id */
    const char *allow;                /* with 405; NULL otherwise */
    bool varies;                      /* what a page is told is another thing for another page */
    const char *origin;               /* whose page may read this, or "*"; NULL: none is told so */
    bool is_head;                     /* asked by HEAD: there is no body */
};

/* The whole answer, after which the connection ends.  What its status is. */
int refusal_render(const struct refusal *refusal, struct buf *out);

#endif
