/* SPDX-License-Identifier: Apache-2.0 */
/* contract/model_info.h - what placing a model needs to know about it.
 *
 * Filled by model/ from the file, sent between nodes, read by select/ and
 * partition/.  Plain data: copy it freely.
 */
#ifndef POMONA_CONTRACT_MODEL_INFO_H
#define POMONA_CONTRACT_MODEL_INFO_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MODEL_NAME_MAX = 128, /* bytes, NUL included; names are [A-Za-z0-9._:/-]+ */
    MODEL_DIGEST_BYTES = 16,
    MODEL_ARCH_MAX = 32,
    MODEL_ROOT_BYTES = 32,
    MODEL_ORIGIN_MAX = 256,
};

struct model_info {
    char name[MODEL_NAME_MAX];
    char architecture[MODEL_ARCH_MAX];  /* "llama" */
    uint8_t digest[MODEL_DIGEST_BYTES]; /* XXH128 of the file's header, tensor directory and size:
                                         * equal on two nodes means the same model */
    uint32_t n_layer;
    uint32_t n_vocab;
    uint32_t n_hidden;       /* elements of a hidden row */
    uint32_t context_tokens; /* what the model was trained for */
    uint64_t file_bytes;
    uint64_t layer_bytes;        /* weights of the largest layer */
    uint64_t embedding_bytes;    /* token embedding, first shard only */
    uint64_t output_bytes;       /* output matrix and norm, last shard only; where the matrix
                                         * is tied to the embedding, the embedding's bytes */
    uint64_t kv_bytes_per_token; /* of one layer, keys and values, in f16 */
    uint64_t n_parameters;
    int64_t created_unix_s; /* modification time of the file */
    bool is_part;           /* the node that tells of it has some pieces of the file alone */
    bool has_root;          /* false: not hashed yet, or told by an older node */
    uint8_t
        root[MODEL_ROOT_BYTES]; /* SHA-256 that names the whole content (model/share/manifest.h) */
    char origin[MODEL_ORIGIN_MAX]; /* where on a hub the file came from (model/store/hub.h); "" */
};

#endif
