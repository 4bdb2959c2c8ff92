/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/api_key_json.h - an API key as its file holds it. */
#ifndef POMONA_GATEWAY_GUARD_API_KEY_JSON_H
#define POMONA_GATEWAY_GUARD_API_KEY_JSON_H

#include <jansson.h>

#include "gateway/guard/api_keys.h"

/* False: it is none; `ret` is undefined then. */
bool api_key_from_json(const json_t *json, struct api_key *ret);

/* NULL: no memory. */
json_t *api_key_to_json(const struct api_key *key);

#endif
