/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_gateway_priv.h - what reading and checking api_gateway.yaml share. */
#ifndef POMONA_CONFIG_API_GATEWAY_PRIV_H
#define POMONA_CONFIG_API_GATEWAY_PRIV_H

#include "config/api_gateway.h"

enum { PLACE_MAX = 128 };

/* Fill in what the file left out. */
void api_gateway_complete(struct api_gateway *config);

/* ret_place  [PLACE_MAX] what is wrong, "auth.issuers[1].issuer", for yaml_point()
 * Errors     ST_RANGE */
enum status api_gateway_check(const struct api_gateway *config, char *ret_place, struct err *err);

#endif
