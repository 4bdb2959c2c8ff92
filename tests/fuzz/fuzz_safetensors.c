/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_safetensors.c - any bytes are refused in a sentence, or tensors within the file.
 *
 * With clang and -DPOMONA_FUZZ=ON this is the libFuzzer program fuzz_safetensors; the test
 * model/test_safetensors calls the same function on damaged files of a fixed seed.
 */
#include "fuzz/fuzz_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "model/safetensors/safetensors.h"

static void check_set(const struct safetensors *set)
{
    volatile unsigned char sum = 0;

    for (size_t i = 0; i < safetensors_n(set); i++) {
        const struct safetensors_tensor *t = safetensors_at(set, i);
        const unsigned char *bytes = t->data;

        if (safetensors_find(set, t->name) != t || t->n_bytes == 0)
            abort();
        sum = (unsigned char)(sum + bytes[0] + bytes[t->n_bytes - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char dir[] = "/tmp/pomona-fuzz-XXXXXX", path[PATH_MAX_BYTES];
    struct safetensors *set = NULL;
    struct err err = { 0 };
    FILE *file;

    if (!mkdtemp(dir))
        abort();
    snprintf(path, sizeof(path), "%s/model.safetensors", dir);
    file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        abort();
    if (safetensors_open(dir, &set, &err) == ST_OK)
        check_set(set);
    else if (!err.words[0] || strchr(err.words, '\n'))
        abort();
    safetensors_free(set);
    unlink(path);
    rmdir(dir);
    return 0;
}
