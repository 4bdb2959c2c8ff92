/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/session.c - open a model in this process; make tokens of conversations. */
#include "cmd/session.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "cmd/progress.h"
#include "text/prompt.h"

void session_options_init(struct session_options *o)
{
    *o = (struct session_options){
        .max_tokens = 1024,
        .temperature = 0.7,
        .top_p = 0.95,
        .repetition_penalty = 1,
        .seed = random_u64() >> 11, /* 53 bits: any reader of JSON keeps them all */
    };
}

enum status session_find(const struct app *app, const char *name_or_path,
                         struct store_entry *ret_entry, struct err *err)
{
    char data_dir[PATH_MAX_BYTES];
    struct store store;
    enum status s;

    s = app_data_dir(app, data_dir, err);
    if (s == ST_OK)
        s = store_init(&store, data_dir, err);
    if (s == ST_OK)
        s = store_find(&store, name_or_path, ret_entry, err);
    return s;
}

static void on_lost(void *arg, const struct err *why)
{
    *(struct err *)arg = *why;
}

static enum status load(const struct app *app, const struct session_options *options,
                        struct session *session, struct err *err)
{
    struct progress progress;
    struct err lost = { 0 };
    struct local_options local_options = {
        .engine = options->engine,
        .kernels = options->kernels,
        .n_threads = options->n_threads,
        .context_tokens = options->context_tokens,
        .draft = session->draft,
        .without_guesses = options->without_guesses,
        .on_progress = progress_bytes,
        .progress_arg = &progress,
        .on_lost = on_lost,
        .lost_arg = &lost,
    };
    enum status s = kv_format_find(options->kv, &local_options.kv_format, err);

    if (s == ST_OK)
        s = activation_format_find(options->activations, &local_options.activations, err);
    if (s != ST_OK)
        return s;
    progress_begin(&progress, app, "loading");
    s = local_open(session->model, &local_options, &session->local, err);
    progress_end(&progress);
    if (lost.status != ST_OK)
        fprintf(stderr, "%s %s: the weights are repacked at every start: %s\n", app->program,
                app->command, lost.words);
    return s;
}

/* A model without a template still completes raw text. */
static enum status open_text_tools(struct session *session, struct err *err)
{
    enum status s = model_tokenizer(session->model, &session->tokenizer, err);

    if (s != ST_OK)
        return s;
    s = model_template(session->model, &session->template, err);
    return s == ST_NOTFOUND ? ST_OK : s;
}

static enum status open_draft(const struct app *app, const char *name_or_path,
                              struct session *session, struct err *err)
{
    struct store_entry entry;
    enum status s;

    s = session_find(app, name_or_path, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &session->draft, err);
    if (s != ST_OK)
        err_wrap(err, "the draft model");
    return s;
}

enum status session_open(const struct app *app, const char *name_or_path,
                         const struct session_options *options, struct session *ret_session,
                         struct err *err)
{
    struct session session = { 0 };
    struct store_entry entry;
    enum status s;

    s = session_find(app, name_or_path, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &session.model, err);
    if (s == ST_OK)
        s = open_text_tools(&session, err);
    if (s == ST_OK && options->draft)
        s = open_draft(app, options->draft, &session, err);
    if (s == ST_OK)
        s = load(app, options, &session, err);
    if (s != ST_OK) {
        session_close(&session);
        return s;
    }
    *ret_session = session;
    return ST_OK;
}

void session_close(struct session *session)
{
    local_close(session->local);
    model_free(session->draft);
    template_free(session->template);
    tokenizer_free(session->tokenizer);
    model_free(session->model);
    *session = (struct session){ 0 };
}

enum status session_encode_chat(const struct session *session, json_t *messages,
                                struct tokens *ret_tokens, struct err *err)
{
    json_t *trusted, *variables;
    enum status s;

    if (!session->template)
        return err_set(err, ST_NOTFOUND, "model '%s' has no chat template: use 'pomona run --raw'",
                       model_info(session->model)->name);
    trusted = prompt_trusted(session->tokenizer);
    variables = json_pack("{s:O, s:b}", "messages", messages, "add_generation_prompt", 1);
    if (trusted && variables)
        s = prompt_chat(session->tokenizer, session->template, trusted, variables, ret_tokens, err);
    else
        s = err_set(err, ST_NOMEM, "no memory for the conversation");
    json_decref(trusted);
    json_decref(variables);
    return s;
}

enum status session_encode_raw(const struct session *session, const char *text,
                               struct tokens *ret_tokens, struct err *err)
{
    return prompt_plain(session->tokenizer, text, strlen(text), ret_tokens, err);
}
