/* SPDX-License-Identifier: Apache-2.0 */
/* config/yaml.h - read YAML (and JSON, which is YAML) against a schema, and say where it is wrong.
 *
 * libcyaml does the reading: every field has a type and a bound in the tables of
 * the file that calls, a key that is not in them is an error, and so are aliases, which
 * could make a small file a large one.
 *
 * Threads  any
 */
#ifndef POMONA_CONFIG_YAML_H
#define POMONA_CONFIG_YAML_H

#include <cyaml/cyaml.h>

#include "base/buf.h"
#include "base/status.h"

enum { YAML_FILE_MAX_BYTES = 1 << 20 };

/* ret_data  given: yaml_release() with the same schema; NULL: there is nothing in the file
 * Errors    ST_NOMEM; ST_FORMAT with path, line and column */
enum status yaml_read(const struct buf *content, const char *path,
                      const cyaml_schema_value_t *schema, void **ret_data, struct err *err);
void yaml_release(const cyaml_schema_value_t *schema, void *data); /* NULL is allowed */

/* Put "path:line:column: " before the words of `err`, where `place` ("auth.issuers[1].issuer") is
 * in the content, or the nearest that is there around it. */
void yaml_point(const struct buf *content, const char *path, const char *place, struct err *err);

#endif
