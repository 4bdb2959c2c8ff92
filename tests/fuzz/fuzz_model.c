/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_model.c - any bytes are refused in a sentence, or are a model.
 *
 * With clang and -DPOMONA_FUZZ=ON this is the libFuzzer program fuzz_model;
 * the test damaged_gguf calls the same function on bytes of a fixed seed.
 */
#include "fuzz/fuzz_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/model.h"

static void write_bytes(const char *path, const uint8_t *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        abort();
}

static void check_words(const struct err *err)
{
    if (!err->words[0] || strchr(err->words, '\n'))
        abort();
}

static void check_model(const struct model *model)
{
    const uint32_t n_layer = model_info(model)->n_layer;
    struct tokenizer *tokenizer = NULL;
    struct template *template = NULL;
    struct shard_weights w;
    struct err err = { 0 };

    if (model_shard(model, 0, n_layer, &w, &err) != ST_OK)
        abort();
    shard_weights_release(&w);
    if (model_tokenizer(model, &tokenizer, &err) != ST_OK)
        check_words(&err);
    tokenizer_free(tokenizer);
    if (model_template(model, &template, &err) != ST_OK)
        check_words(&err);
    template_free(template);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char path[] = "/tmp/pomona-fuzz-XXXXXX";
    const int fd = mkstemp(path);
    struct model *model = NULL;
    struct err err = { 0 };

    if (fd < 0)
        abort();
    close(fd);
    write_bytes(path, bytes, n);
    if (model_open(path, &model, &err) == ST_OK)
        check_model(model);
    else
        check_words(&err);
    model_free(model);
    unlink(path);
    return 0;
}
