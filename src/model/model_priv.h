/* SPDX-License-Identifier: Apache-2.0 */
/* model/model_priv.h - an open model, as the files of model/ share it. */
#ifndef POMONA_MODEL_MODEL_PRIV_H
#define POMONA_MODEL_MODEL_PRIV_H

#include "base/paths.h"
#include "model/gguf/gguf.h"
#include "model/model.h"

struct model {
    char path[PATH_MAX_BYTES]; /* as it was opened, made absolute */
    struct gguf *gguf;
    struct model_info info;
    struct shard_weights all; /* every layer and both ends */
};

#endif
