/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/api_request.c - a request as a client wrote it: its life. */
#include "gateway/dialect/api_request.h"

#include <stdlib.h>

#include "gateway/guard/reservation.h"

void api_request_init(struct api_request *r)
{
    *r = (struct api_request){ .n = 1, .n_prompts = 1 };
    sampling_init(&r->sampling);
}

void api_request_release(struct api_request *r)
{
    reservation_end(r->reservation, 0, false); /* nobody said that it was served */
    json_decref(r->variables);
    json_decref(r->bias_texts);
    json_decref(r->tools);
    json_decref(r->context);
    json_decref(r->schema);
    for (size_t i = 0; r->prompts && i < r->n_prompts; i++) {
        free(r->prompts[i].text);
        free(r->prompts[i].tokens);
    }
    free(r->prompts);
    free(r->suffix);
    free(r->logit_bias);
    free(r->grammar);
    free(r->grammar_trigger);
    for (size_t i = 0; i < r->n_stops; i++)
        free(r->stops[i]);
    *r = (struct api_request){ 0 };
}
