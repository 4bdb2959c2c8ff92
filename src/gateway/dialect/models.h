/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/models.h - OpenAI's list of models. */
#ifndef POMONA_GATEWAY_DIALECT_MODELS_H
#define POMONA_GATEWAY_DIALECT_MODELS_H

#include <stddef.h>

#include "base/buf.h"
#include "contract/model_info.h"

void models_render(const struct model_info *models, size_t n, struct buf *out);
void model_render(const struct model_info *model, struct buf *out);

/* The model a client means: its name, or the name in other case, or with
 * ".gguf"; "" is the only one there is.  NULL: none.  Lent from `models`. */
const struct model_info *models_find(const struct model_info *models, size_t n, const char *name);

#endif
