/* SPDX-License-Identifier: Apache-2.0 */
/* model/cut.h - a portion of the matrices of a shard, by pointers into the whole.
 *
 * Rows of a matrix lie one behind the other, so some of them are a matrix, too; some
 * columns are one whose rows lie apart (matrix.stride).  Nothing is copied.
 */
#ifndef POMONA_MODEL_CUT_H
#define POMONA_MODEL_CUT_H

#include "engine/weights.h"

/* Make `w`, which is of whole layers, the portion's; one with n_members 0 changes nothing.
 * Errors  ST_UNSUPPORTED  a column of the cut is within a block of a matrix, which is named */
enum status weights_cut(struct shard_weights *w, const struct portion *portion, struct err *err);

#endif
