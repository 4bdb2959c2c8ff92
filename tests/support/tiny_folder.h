/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/tiny_folder.h - a model of one layer as a folder of safetensors. */
#ifndef POMONA_TESTS_SUPPORT_TINY_FOLDER_H
#define POMONA_TESTS_SUPPORT_TINY_FOLDER_H

#include "support/folder.h"

/* A safetensors file: the header's length, the header, n zero bytes; appended. */
void tiny_safetensors(const char *header, size_t n_bytes, struct buf *ret_file);

/* config.json, tokenizer.json and model.safetensors of a llama with 4-bit and bf16 matrices. */
void tiny_folder_put(const struct folder *folder);

#endif
