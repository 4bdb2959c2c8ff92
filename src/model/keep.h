/* SPDX-License-Identifier: Apache-2.0 */
/* model/keep.h - where an engine keeps what it makes of a model's weights.
 *
 *     MODEL.gguf.panels/               beside the file, under the path it was opened by: of a
 *                                      link in the store, in the store
 *     CACHE/panels/NAME.gguf-HASH/     where that cannot be (path_cache(); HASH is of the path)
 *
 * A folder follows the path, not the content, so a model that is replaced takes over its
 * predecessor's folder and nothing piles up.  The key follows the content: the model's
 * digest and the time its file was last written.
 */
#ifndef POMONA_MODEL_KEEP_H
#define POMONA_MODEL_KEEP_H

#include "base/paths.h"
#include "engine/engine.h"
#include "model/model.h"

struct model_keep {
    char dirs[ENGINE_KEEP_DIRS][PATH_MAX_BYTES];
    struct engine_keep engine; /* points into dirs: a model_keep does not move; on_lost is the
                                * caller's to set */
};

/* A folder whose path would be too long is left out. */
void model_keep_init(struct model_keep *keep, const struct model *model);

/* Bytes of disk that MODEL.gguf.panels or its substitute takes now; 0: there is none.
 * ret_dir  [PATH_MAX_BYTES], the folder, where there is one */
uint64_t model_keep_bytes(const char *model_path, char *ret_dir);

/* Tell of each folder of panels in `dir` whose model is not there any more. */
void model_keep_orphans(const char *dir, void (*on_orphan)(void *arg, const char *path), void *arg);

#endif
