/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/engine/golden.c - the reference answers, as arrays that point into the file. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "golden.h"

static const void *take(struct buf *file, size_t *at, size_t n_words)
{
    const void *p = file->data + *at;

    assert_true(n_words <= (file->len - *at) / 4);
    *at += 4 * n_words;
    return p;
}

static uint32_t take_u32(struct buf *file, size_t *at)
{
    uint32_t x;

    memcpy(&x, take(file, at, 1), sizeof(x));
    return x;
}

void golden_load(struct golden *ret_golden)
{
    const char *source = getenv("POMONA_SOURCE");
    struct buf file = { 0 };
    struct err err = { 0 };
    char path[4096];
    size_t at = 0;

    assert_non_null(source);
    snprintf(path, sizeof(path), "%s/tests/golden/smollm2_135m.golden", source);
    assert_ok(file_read(path, 1 << 22, &file, &err), err);
    assert_memory_equal(take(&file, &at, 1), "PGLD", 4);
    ret_golden->n_prompts = take_u32(&file, &at);
    ret_golden->n_steps = take_u32(&file, &at);
    ret_golden->n_ids = take_u32(&file, &at);
    ret_golden->ids = take(&file, &at, ret_golden->n_ids);
    ret_golden->prompts = calloc(ret_golden->n_prompts, sizeof(*ret_golden->prompts));
    assert_non_null(ret_golden->prompts);
    for (uint32_t i = 0; i < ret_golden->n_prompts; i++) {
        struct golden_prompt *p = &ret_golden->prompts[i];

        p->n_tokens = take_u32(&file, &at);
        p->tokens = take(&file, &at, p->n_tokens);
        p->greedy = take(&file, &at, ret_golden->n_steps);
        p->gap = take(&file, &at, ret_golden->n_steps);
        p->std = take(&file, &at, ret_golden->n_steps);
        p->logits = take(&file, &at, (size_t)ret_golden->n_steps * ret_golden->n_ids);
    }
    assert_int_equal(at, file.len);
    ret_golden->bytes = file.data;
}

void golden_release(struct golden *golden)
{
    free(golden->prompts);
    free(golden->bytes);
    *golden = (struct golden){ 0 };
}
