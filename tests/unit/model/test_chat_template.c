/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_chat_template.c - a model file gives its chat template, or says it has none. */
#include "support/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

static struct model *open_real(void)
{
    const char *path = getenv("POMONA_TEST_MODEL");
    struct model *model = NULL;
    struct err err;

    assert_non_null(path);
    assert_ok(model_open(path, &model, &err), err);
    return model;
}

/* The text is what the model's card shows for one question without a system message. */
static void the_real_template_renders_a_conversation(void **state)
{
    struct model *model = open_real();
    struct template *template = NULL;
    struct rendered rendered = { 0 };
    struct err err;
    json_t *variables = json_pack("{s:[{s:s, s:s}], s:b}", "messages", "role", "user", "content",
                                  "Hi", "add_generation_prompt", 1);

    (void)state;
    assert_ok(model_template(model, &template, &err), err);
    assert_ok(template_render(template, NULL, variables, &rendered, &err), err);
    assert_string_equal(buf_text(&rendered.text),
                        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained "
                        "by Hugging Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                        "<|im_start|>assistant\n");
    rendered_release(&rendered);
    template_free(template);
    json_decref(variables);
    model_free(model);
}

static void open_tiny(const char *chat_template, struct model **ret_model)
{
    struct gguf_writer w = { 0 };
    struct folder folder;
    struct buf file = { 0 };
    struct err err;
    char path[PATH_MAX_BYTES];

    folder_make(&folder);
    tiny_llama_put_numbers(&tiny_llama_default, &w);
    tiny_llama_put_tensors(&tiny_llama_default, &w);
    if (chat_template)
        gguf_put_text(&w, "tokenizer.chat_template", chat_template);
    gguf_writer_finish(&w, &file);
    assert_ok(model_open(folder_put(&folder, "tiny.gguf", &file, path), ret_model, &err), err);
    buf_release(&file);
    gguf_writer_release(&w);
    folder_remove(&folder); /* the mapping stays */
}

static void a_model_without_a_template_says_so(void **state)
{
    struct template *template = NULL;
    struct model *model;
    struct err err;

    (void)state;
    open_tiny(NULL, &model);
    assert_int_equal(model_template(model, &template, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "'tiny'"));
    assert_null(template);
    model_free(model);
}

static void a_template_that_is_none_is_refused_by_model(void **state)
{
    struct template *template = NULL;
    struct model *model;
    struct err err;

    (void)state;
    open_tiny("{% for %}", &model);
    assert_int_equal(model_template(model, &template, &err), ST_FORMAT);
    assert_non_null(strstr(err.words, "'tiny'"));
    assert_null(template);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_template_renders_a_conversation),
        cmocka_unit_test(a_model_without_a_template_says_so),
        cmocka_unit_test(a_template_that_is_none_is_refused_by_model),
    };
    return cmocka_run_group_tests_name("model/chat_template", tests, NULL, NULL);
}
