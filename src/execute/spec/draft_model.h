/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/draft_model.h - a model file becomes the draft model of another, in this process.
 *
 * Threads  the driver's
 */
#ifndef POMONA_EXECUTE_SPEC_DRAFT_MODEL_H
#define POMONA_EXECUTE_SPEC_DRAFT_MODEL_H

#include "execute/spec/draft.h"
#include "model/model.h"

struct draft_model;

struct draft_model_options {
    const struct model *of;  /* borrowed: the model it drafts for */
    uint32_t context_tokens; /* of that one; sequences beyond the draft model's own go without */
    uint32_t max_sequences;  /* that draft in one step */
    uint32_t n_contexts; /* whole contexts there is room for; sequences without go without drafts */
    enum activation_format activations; /* as in struct engine_options, and so on: */
    const char *kernels;
    unsigned n_threads;
    void (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *progress_arg;
};

/* model   borrowed, must outlive what is given
 * Errors  ST_RANGE  it has another vocabulary; as the engine's open() */
enum status draft_model_open(const struct model *model, const struct draft_model_options *options,
                             struct draft_model **ret_model, struct err *err);
void draft_model_close(struct draft_model *model); /* NULL is allowed */

struct draft *draft_model_draft(struct draft_model *model); /* lent; NULL for NULL */

#endif
