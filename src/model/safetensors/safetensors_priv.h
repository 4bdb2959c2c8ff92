/* SPDX-License-Identifier: Apache-2.0 */
/* model/safetensors/safetensors_priv.h - one file of a folder, and the folder. */
#ifndef POMONA_MODEL_SAFETENSORS_SAFETENSORS_PRIV_H
#define POMONA_MODEL_SAFETENSORS_SAFETENSORS_PRIV_H

#include <jansson.h>

#include "model/safetensors/safetensors.h"

struct st_file {
    unsigned char *base; /* NULL while not mapped */
    size_t size;
    json_t *header; /* tensors' names point into it */
    struct safetensors_tensor *tensors;
    size_t n_tensors;
};

struct safetensors {
    struct st_file *files;
    size_t n_files;
    struct safetensors_tensor *tensors; /* of all files, by name */
    size_t n_tensors;
};

/* Map and check one file; a zeroed `file` on entry.  Release it also after an error. */
enum status st_file_open(struct st_file *file, const char *path, struct err *err);
void st_file_release(struct st_file *file);

#endif
