/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/convert.h - a folder of safetensors, as MLX and Hugging Face have models, made one
 * GGUF file, which is what everything else here stores, shares and computes with.
 *
 * The folder has config.json, the tensors (model/safetensors), tokenizer.json, and perhaps
 * tokenizer_config.json and chat_template.jinja.  Of the llama family; what the graph of
 * engine/weights.h or the tokenizers of text/tokenizer do not have is refused by name, as are
 * tensors that nobody would use.
 *
 * Numbers stay what they are where the file has a format for them:
 *   F32, F16                    the same
 *   BF16                        F16: below 2^-17 some bits are lost, the error is at most 2^-25
 *   MLX's affine 4-bit groups   Q4_1, each group of 64 or 128 as 2 or 4 blocks with its scale and
 *                               bias; these become F16: of BF16 as above, of F32 with a relative
 *                               error of 2^-11
 *   MLX's affine 8-bit groups   F16 of what they stand for, relative error 2^-11; twice the size
 * and what F16 cannot hold is refused.
 *
 * Source  ggml repository, docs/gguf.md; the MLX documentation, mlx.core.quantize
 */
#ifndef POMONA_MODEL_CONVERT_CONVERT_H
#define POMONA_MODEL_CONVERT_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Whether `path` is a folder with a config.json. */
bool convert_is_folder(const char *path);

/* Write the model of `dir` to `path`, a file that must not be there yet.
 * on_progress  may be NULL; bytes of the new file
 * Errors  ST_NOTFOUND, ST_IO, ST_FULL; ST_FORMAT, ST_UNSUPPORTED, ST_RANGE  the folder is damaged or
 *         not of a kind that can be converted; ST_NOMEM.  After any, there is no file at `path` */
enum status convert_folder(const char *dir, const char *path,
                           void (*on_progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                           struct err *err);

#endif
