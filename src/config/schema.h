/* SPDX-License-Identifier: Apache-2.0 */
/* config/schema.h - read a file of settings against a schema. */
#ifndef POMONA_CONFIG_SCHEMA_H
#define POMONA_CONFIG_SCHEMA_H

#include <cyaml/cyaml.h>

#include "base/buf.h"
#include "base/status.h"

/* needs     what an empty file lacks, in words
 * ret_data  given: schema_free()
 * Errors    ST_NOMEM; ST_FORMAT with the file, and the line where it is known */
enum status schema_parse(const struct buf *content, const char *path,
                         const struct cyaml_schema_value *schema, const char *needs,
                         void **ret_data, struct err *err);
void schema_free(const struct cyaml_schema_value *schema, void *data); /* NULL is allowed */

#endif
