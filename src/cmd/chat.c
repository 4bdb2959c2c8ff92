/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/chat.c - `pomona chat`: a conversation on the terminal.
 *
 *   asking --a line--> answering --end of text, Ctrl-C--> asking
 *     \--Ctrl-D, /exit, Ctrl-C twice--> the end
 *
 * An answer that Ctrl-C stops ends after the token it is computing and stays in
 * the conversation as far as it came.
 * When the conversation outgrows the context, its oldest turns are forgotten,
 * the system prompt never.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cmd/line.h"
#include "cmd/session.h"
#include "cmd/units.h"

struct chat {
    const struct app *app;
    struct session session;
    struct session_options options;
    struct line_reader lines;
    json_t *messages;  /* array of the conversation, system prompt first where there is one */
    struct buf answer; /* text of the answer being given */
    char system[LINE_MAX_BYTES]; /* what /system said */
    bool is_over;
};

static const char *colour(const struct chat *chat, const char *code)
{
    return chat->app->has_colour ? code : "";
}

static void note(const struct chat *chat, const char *text)
{
    printf("%s%s%s\n", colour(chat, "\033[2m"), text, colour(chat, "\033[0m"));
}

static enum status messages_begin(struct chat *chat, struct err *err)
{
    json_t *system = NULL;

    json_decref(chat->messages);
    chat->messages = json_array();
    if (!chat->messages)
        return err_set(err, ST_NOMEM, "no memory for the conversation");
    if (!chat->options.system)
        return ST_OK;
    system = json_pack("{s:s, s:s}", "role", "system", "content", chat->options.system);
    if (!system)
        return err_set(err, ST_FORMAT, "the system prompt is not UTF-8");
    return json_array_append_new(chat->messages, system) == 0
               ? ST_OK
               : err_set(err, ST_NOMEM, "no memory for the conversation");
}

static enum status messages_add(struct chat *chat, const char *role, const char *content,
                                struct err *err)
{
    json_t *message = json_pack("{s:s, s:s}", "role", role, "content", content);

    if (!message)
        return err_set(err, ST_FORMAT, "that line is not UTF-8");
    return json_array_append_new(chat->messages, message) == 0
               ? ST_OK
               : err_set(err, ST_NOMEM, "no memory for the conversation");
}

static void messages_drop_last(struct chat *chat)
{
    const size_t n = json_array_size(chat->messages);

    if (n > 0)
        (void)json_array_remove(chat->messages, n - 1);
}

/* Forget the oldest question and its answer; false where only the last question is left. */
static bool messages_drop_oldest(struct chat *chat)
{
    const size_t first = chat->options.system ? 1 : 0;

    if (json_array_size(chat->messages) <= first + 1)
        return false;
    (void)json_array_remove(chat->messages, first);
    if (json_array_size(chat->messages) > first + 1)
        (void)json_array_remove(chat->messages, first);
    return true;
}

static void on_text(void *arg, const char *text, size_t n_text)
{
    struct chat *chat = arg;

    buf_append(&chat->answer, text, n_text);
    (void)fwrite(text, 1, n_text, stdout);
    (void)fflush(stdout);
}

static enum status answer_once(struct chat *chat, struct answer *ret_answer, struct err *err)
{
    struct tokens prompt = { 0 };
    enum status s;

    s = session_encode_chat(&chat->session, chat->messages, &prompt, err);
    if (s == ST_OK)
        s = session_answer(&chat->session, &chat->options, &prompt, line_interrupts(), on_text,
                           chat, ret_answer, err);
    tokens_release(&prompt);
    return s;
}

/* Answer the last message, forgetting the oldest ones until it fits. */
static enum status answer(struct chat *chat, struct err *err)
{
    struct answer result = { 0 };
    bool forgot = false;
    enum status s;

    buf_clear(&chat->answer);
    *line_interrupts() = 0;
    while ((s = answer_once(chat, &result, err)) == ST_RANGE && messages_drop_oldest(chat))
        forgot = true;
    if (s != ST_OK)
        return s;
    (void)putchar('\n');
    if (result.finish == FINISH_CANCELED)
        note(chat, "(stopped)");
    if (result.finish == FINISH_LENGTH)
        note(chat, "(cut: the answer reached its longest length)");
    if (forgot)
        note(chat, "(the oldest turns were forgotten: the context is full)");
    chat->options.seed++; /* another turn, other draws; still reproducible from --seed */
    s = buf_status(&chat->answer);
    return s == ST_OK ? messages_add(chat, "assistant", buf_text(&chat->answer), err) : s;
}

static void command_help(struct chat *chat, const char *rest)
{
    (void)rest;
    note(chat, "/clear          start a new conversation\n"
               "/system TEXT    start a new conversation with this system prompt\n"
               "/exit           leave (or Ctrl-D)\n"
               "Ctrl-C          stop the answer");
}

static void command_clear(struct chat *chat, const char *rest)
{
    struct err err = { 0 };

    (void)rest;
    note(chat, messages_begin(chat, &err) == ST_OK ? "(a new conversation)" : err.words);
}

static void command_system(struct chat *chat, const char *rest)
{
    (void)snprintf(chat->system, sizeof(chat->system), "%s", rest);
    chat->options.system = *chat->system ? chat->system : NULL;
    command_clear(chat, rest);
}

static void command_exit(struct chat *chat, const char *rest)
{
    (void)rest;
    chat->is_over = true;
}

static const struct {
    const char *name;
    void (*run)(struct chat *chat, const char *rest);
} commands[] = {
    { "/help", command_help },
    { "/clear", command_clear },
    { "/system", command_system },
    { "/exit", command_exit },
};

static void command(struct chat *chat, const char *line)
{
    const size_t n = strcspn(line, " ");

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strlen(commands[i].name) != n || strncmp(commands[i].name, line, n) != 0)
            continue;
        commands[i].run(chat, line + n + strspn(line + n, " "));
        return;
    }
    note(chat, "no such command: /help lists them");
}

/* The next line; false at end of input or at the second Ctrl-C in a row. */
static bool ask(struct chat *chat, const char **ret_line)
{
    bool was_interrupted = false;

    *line_interrupts() = 0;
    for (;;) {
        printf("%s> %s", colour(chat, "\033[1m"), colour(chat, "\033[0m"));
        (void)fflush(stdout);
        switch (line_read(&chat->lines, ret_line)) {
        case LINE_READ: return true;
        case LINE_ENDED: (void)putchar('\n'); return false;
        case LINE_INTERRUPTED: break;
        }
        (void)putchar('\n');
        if (was_interrupted)
            return false;
        was_interrupted = true;
        *line_interrupts() = 0;
        note(chat, "(Ctrl-C again, or Ctrl-D, leaves)");
    }
}

static enum status converse(struct chat *chat, struct err *err)
{
    const char *line;

    while (!chat->is_over && ask(chat, &line)) {
        enum status s = ST_OK;

        if (line[0] == '\0')
            continue;
        if (line[0] == '/') {
            command(chat, line);
            continue;
        }
        s = messages_add(chat, "user", line, err);
        if (s == ST_OK) {
            s = answer(chat, err);
            if (s != ST_OK)
                messages_drop_last(chat);
        }
        if (s == ST_DEADLINE || s == ST_PEER || s == ST_NOMEM || s == ST_NOTFOUND)
            return s; /* no later answer would fare better */
        if (s != ST_OK)
            note(chat, err->words);
    }
    return ST_OK;
}

static enum status chat_run(struct chat *chat, const char *model, struct err *err)
{
    enum status s;

    s = messages_begin(chat, err);
    if (s == ST_OK)
        s = session_open(chat->app, model, &chat->options, &chat->session, err);
    if (s == ST_OK && !chat->session.template)
        s = err_set(err, ST_NOTFOUND, "model '%s' has no chat template: use 'pomona run --raw'",
                    model);
    if (s == ST_OK) {
        line_catch_interrupts();
        note(chat, "/help lists commands, Ctrl-C stops an answer, Ctrl-D leaves");
        s = converse(chat, err);
    }
    session_close(&chat->session);
    json_decref(chat->messages);
    buf_release(&chat->answer);
    return s;
}

int cmd_chat(struct app *app, int argc, char **argv)
{
    struct chat chat = { .app = app };
    const struct option_row rows[] = {
        SESSION_ROWS(&chat.options),
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "smollm2",
        "smollm2 --system \"Answer in one sentence.\" --temperature 0.2",
        NULL,
    };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "Talk to a model on this machine. MODEL is a name that 'pomona models' shows,\n"
                 "or a GGUF file. Ctrl-C stops an answer; Ctrl-D leaves.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    session_options_init(&chat.options);
    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    return app_end(app, chat_run(&chat, args[0], &err), &err);
}
