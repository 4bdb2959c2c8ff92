/* SPDX-License-Identifier: Apache-2.0 */
/* model/model.h - an open model file: its description, its weights, its text tools.
 *
 * Opening maps the file and checks everything that describes it; weights are
 * not read until an engine touches them, so a node that holds 10 of 80
 * layers reads 10.
 *
 * Threads  a model is immutable once open
 */
#ifndef POMONA_MODEL_MODEL_H
#define POMONA_MODEL_MODEL_H

#include "base/status.h"
#include "contract/model_info.h"
#include "engine/weights.h"
#include "text/speech_format.h"
#include "text/template/template.h"
#include "text/tokenizer/tokenizer.h"

struct model;

/* Errors  ST_NOTFOUND, ST_IO; ST_FORMAT a damaged file; ST_UNSUPPORTED an architecture or
 *         block type not known here, named; ST_RANGE a size beyond a bound */
enum status model_open(const char *path, struct model **ret_model, struct err *err);
void model_free(struct model *model); /* NULL is allowed */

/* Lent until model_free().  info->name is the file's own name without ".gguf"
 * unless the store gave another. */
const struct model_info *model_info(const struct model *model);
const struct model_shape *model_shape(const struct model *model);

/* The weights of layers first..first+n, with the embedding where first is 0
 * and the output where first + n is n_layer.
 * ret_weights  given; release with shard_weights_release(); points into the mapping
 * Errors       ST_RANGE; ST_FORMAT a tensor is missing or has another shape, named; ST_NOTFOUND  the
 *              file was fetched in part, without a tensor of these layers, named */
enum status model_shard(const struct model *model, uint32_t first_layer, uint32_t n_layers,
                        struct shard_weights *ret_weights, struct err *err);

/* The same of a portion of each layer (model_portion()), or of the whole where n_members is 0; the
 * embedding is whole.
 * Errors       as model_shard(); ST_UNSUPPORTED  heads are no whole blocks of the number format */
enum status model_shard_of(const struct model *model, uint32_t first_layer, uint32_t n_layers,
                           const struct portion *portion, struct shard_weights *ret_weights,
                           struct err *err);
void shard_weights_release(struct shard_weights *weights);

/* What member `member` of a team has of each layer, by the members' shares [n_members].
 * Errors  ST_RANGE  as portion_cut() */
enum status model_portion(const struct model *model, const uint32_t *shares, uint32_t n_members,
                          uint32_t member, struct portion *ret_portion, struct err *err);

/* ST_OK where a token's number means the same text to both.
 * Errors  ST_RANGE  it does not; ST_NOTFOUND, ST_FORMAT  a file has no readable tokens */
enum status model_same_vocabulary(const struct model *a, const struct model *b, struct err *err);

/* The model's text tools, for the gateway.  Both given. */
enum status model_tokenizer(const struct model *model, struct tokenizer **ret_tokenizer,
                            struct err *err);

/* How the model's answers are written, as its chat template shows. */
struct speech_format model_speech(const struct model *model);

/* Errors  ST_NOTFOUND  the file carries no chat template */
enum status model_template(const struct model *model, struct template **ret_template,
                           struct err *err);

#endif
