/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/run.c - `pomona run`: one prompt, one answer, one process.
 *
 * The answer streams on standard output, nothing else does, so that it can
 * be piped.  With --json one object follows instead of the stream.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "cmd/session.h"
#include "cmd/units.h"

enum { PROMPT_MAX_BYTES = 1 << 20 };

struct run_options {
    struct session_options session;
    bool is_raw, is_json, is_verbose;
};

static void print_text(void *arg, const char *text, size_t n_text)
{
    (void)arg;
    (void)fwrite(text, 1, n_text, stdout);
    (void)fflush(stdout);
}

static void collect_text(void *arg, const char *text, size_t n_text)
{
    buf_append(arg, text, n_text);
}

/* "-" stands for standard input. */
static enum status prompt_read(const char *argument, struct buf *ret_prompt, struct err *err)
{
    char bytes[4096];
    size_t n;

    if (strcmp(argument, "-") != 0) {
        buf_puts(ret_prompt, argument);
    } else {
        while ((n = fread(bytes, 1, sizeof(bytes), stdin)) > 0 &&
               ret_prompt->len <= PROMPT_MAX_BYTES)
            buf_append(ret_prompt, bytes, n);
        if (ferror(stdin))
            return err_errno(err, "read the prompt");
    }
    if (ret_prompt->len > PROMPT_MAX_BYTES)
        return err_set(err, ST_RANGE, "the prompt is longer than %d bytes", PROMPT_MAX_BYTES);
    if (ret_prompt->len == 0 || memchr(ret_prompt->data, 0, ret_prompt->len))
        return err_set(err, ST_RANGE, "the prompt is empty or holds a zero byte");
    return buf_status(ret_prompt);
}

static enum status prompt_encode(const struct session *session, const struct run_options *options,
                                 const char *prompt, struct tokens *ret_tokens, struct err *err)
{
    json_t *messages;
    enum status s;

    if (options->is_raw)
        return session_encode_raw(session, prompt, ret_tokens, err);
    if (options->session.system)
        messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "system", "content",
                             options->session.system, "role", "user", "content", prompt);
    else
        messages = json_pack("[{s:s, s:s}]", "role", "user", "content", prompt);
    if (!messages)
        return err_set(err, ST_FORMAT, "the prompt is not UTF-8");
    s = session_encode_chat(session, messages, ret_tokens, err);
    json_decref(messages);
    return s;
}

static enum status print_json(const struct session *session, const struct run_options *options,
                              const char *text, const struct answer *answer, struct err *err)
{
    json_t *object;

    object = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:I}", "model", model_info(session->model)->name,
        "text", text, "finish_reason", finish_reason_word(answer->finish), "prompt_tokens",
        (json_int_t)answer->n_prompt, "completion_tokens", (json_int_t)answer->n_tokens,
        "first_token_s", answer->first_token_s, "tokens_per_s", answer_rate(answer), "seed",
        (json_int_t)options->session.seed);
    if (!object)
        return err_set(err, ST_NOMEM, "no memory for the result");
    (void)json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)putchar('\n');
    json_decref(object);
    return ST_OK;
}

static void print_verbose(const struct answer *answer)
{
    char first[UNITS_MAX];

    fprintf(stderr, "%zu prompt tokens, %llu generated; first after %s, then %.1f tokens/s\n",
            answer->n_prompt, (unsigned long long)answer->n_tokens,
            units_seconds(answer->first_token_s, first), answer_rate(answer));
}

static enum status answer(const struct session *session, const struct run_options *options,
                          const char *prompt, struct err *err)
{
    struct tokens tokens = { 0 };
    struct buf text = { 0 };
    struct answer result;
    enum status s;

    s = prompt_encode(session, options, prompt, &tokens, err);
    if (s == ST_OK)
        s = session_answer(session, &options->session, &tokens, NULL,
                           options->is_json ? collect_text : print_text, &text, &result, err);
    if (s == ST_OK && options->is_json)
        s = print_json(session, options, buf_text(&text), &result, err);
    else if (s == ST_OK)
        (void)putchar('\n');
    if (s == ST_OK && options->is_verbose)
        print_verbose(&result);
    tokens_release(&tokens);
    buf_release(&text);
    return s;
}

int cmd_run(struct app *app, int argc, char **argv)
{
    struct run_options options = { 0 };
    const struct option_row rows[] = {
        SESSION_ROWS(&options.session),
        { "raw", 0, NULL, "complete the text as it is, without the chat template", OPTION_FLAG,
          &options.is_raw, 0, 0 },
        { "json", 0, NULL, "one JSON object with the answer and its numbers", OPTION_FLAG,
          &options.is_json, 0, 0 },
        { "verbose", 'v', NULL, "numbers on standard error at the end", OPTION_FLAG,
          &options.is_verbose, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "smollm2 \"Why is the sky blue?\"",
        "./model.gguf --raw --temperature 0 \"Once upon a time\"",
        "smollm2 - < question.txt",
        NULL,
    };
    const struct usage usage = {
        .arguments = "MODEL PROMPT",
        .min_args = 2,
        .max_args = 2,
        .about = "Answer one prompt on this machine, in this process. MODEL is a name that\n"
                 "'pomona models' shows, or a GGUF file; '-' reads the prompt from standard input.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct session session = { 0 };
    struct buf prompt = { 0 };
    struct err err = { 0 };
    int exit_status;
    enum status s;

    session_options_init(&options.session);
    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    s = prompt_read(args[1], &prompt, &err);
    if (s == ST_OK)
        s = session_open(app, args[0], &options.session, &session, &err);
    if (s == ST_OK)
        s = answer(&session, &options, buf_text(&prompt), &err);
    session_close(&session);
    buf_release(&prompt);
    return app_end(app, s, &err);
}
