/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_gateway_priv.h - what reading and checking api_gateway.yaml share. */
#ifndef POMONA_CONFIG_API_GATEWAY_PRIV_H
#define POMONA_CONFIG_API_GATEWAY_PRIV_H

#include <cyaml/cyaml.h>

#include "config/api_gateway.h"

enum { PLACE_MAX = 128 };

/* Fill in what the file left out. */
void api_gateway_complete(struct api_gateway *config);

/* ret_place  [PLACE_MAX] what is wrong, "auth.issuers[1].issuer", for yaml_point()
 * Errors     ST_RANGE */
enum status api_gateway_check(const struct api_gateway *config, char *ret_place, struct err *err);

extern const struct cyaml_strval api_truths[2]; /* the words of what is true or false */

/* Of the sections about the HTTP server: api_server.c. */
extern const struct cyaml_schema_field api_tls_fields[], api_cors_fields[], api_sizes_fields[],
    api_timeouts_fields[], api_connections_fields[], api_log_fields[];
void api_server_complete(struct api_gateway *config);
enum status api_server_check(const struct api_gateway *config, char *ret_place, struct err *err);

/* Of the section `traces`: api_traces.c. */
extern const struct cyaml_schema_field api_traces_fields[];
void api_traces_complete(struct api_traces *traces);
enum status api_traces_check(const struct api_gateway *config, char *ret_place, struct err *err);

/* Of the section `upstreams`: api_upstreams.c. */
extern const struct cyaml_schema_value api_upstream_value;
void api_upstream_complete(struct api_upstream *u);

/* What is wrong, in words, and *ret_field where; NULL: nothing is, and its key is there. */
const char *api_upstream_fault(struct api_upstream *u, const char **ret_field);

#endif
