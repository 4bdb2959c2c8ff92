/* SPDX-License-Identifier: Apache-2.0 */
/* model/model_template.c - the chat template a model file carries.
 *
 * Source  ggml repository, docs/gguf.md, "Tokenizer", tokenizer.chat_template
 */
#include "model/model_priv.h"

static const char key[] = "tokenizer.chat_template";

struct speech_format model_speech(const struct model *model)
{
    struct gguf_text text = { 0 };
    struct err err = { 0 };

    if (!gguf_has(model->gguf, key) || gguf_get_text(model->gguf, key, &text, &err) != ST_OK)
        return speech_format_of("", 0);
    return speech_format_of(text.bytes, text.n);
}

enum status model_template(const struct model *model, struct template **ret_template,
                           struct err *err)
{
    struct gguf_text text;
    enum status s;

    if (!gguf_has(model->gguf, key))
        return err_set(err, ST_NOTFOUND,
                       "the model '%s' carries no chat template; ask for a "
                       "completion of plain text instead",
                       model->info.name);
    s = gguf_get_text(model->gguf, key, &text, err);
    if (s == ST_OK)
        s = template_parse(text.bytes, text.n, ret_template, err);
    if (s != ST_OK)
        err_wrap(err, "the chat template of '%s'", model->info.name);
    return s;
}
