/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/arch.h - model families: from a GGUF file to the shape and weights of a graph.
 *
 * Everything a file may get wrong about its family is found here, at open:
 * numbers beyond their bounds, tensors missing, of another shape or number
 * format, and tensors or settings the graph would have to ignore although they
 * change its result.
 *
 * To add a family: arch/<name>.c with a const struct arch, its declaration in
 * arch_priv.h, one row of archs[] in arch.c.
 */
#ifndef POMONA_MODEL_ARCH_ARCH_H
#define POMONA_MODEL_ARCH_ARCH_H

#include "base/status.h"
#include "engine/weights.h"
#include "model/gguf/gguf.h"

struct arch {
    const char *name; /* general.architecture */

    /* Errors  ST_FORMAT, ST_NOTFOUND, ST_RANGE a wrong number, its key named; ST_UNSUPPORTED a
     *         setting this build's graph does not have, named */
    enum status (*read_shape)(const struct gguf *gguf, struct model_shape *ret_shape,
                              struct err *err);

    /* Fill `all`: its layers are [n_layer], its shape is read. */
    enum status (*bind)(const struct gguf *gguf, struct shard_weights *all, struct err *err);
};

/* The family of the file.
 * Errors  ST_UNSUPPORTED  a family not known here, with those that are */
enum status arch_of(const struct gguf *gguf, const struct arch **ret_arch, struct err *err);

/* The weights of the whole model, lent by the mapping; layers are given
 * (shard_weights_release()).  Where output and embedding are tied they are one
 * matrix.
 * Errors  as struct arch; ST_NOMEM */
enum status arch_weights(const struct arch *arch, const struct gguf *gguf,
                         struct shard_weights *ret_all, struct err *err);

#endif
