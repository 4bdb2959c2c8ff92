/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/chat_events.c - what an upstream answers to a chat, as deltas of a reply. */
#include "flow/upstream/chat_events.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/http/json_in.h"

enum { CALLS_MAX = 256 }; /* of one choice */

struct chat_choice {
    uint64_t n_tokens; /* events with something in them; or as a Pomona says */
    uint32_t n_calls;
    json_int_t call; /* the upstream's index of the last */
    bool has_arguments;
    bool is_finished;
};

struct chat_events {
    chat_delta_fn *fn;
    void *arg;
    struct reply_usage usage;
    bool has_usage;
    size_t n_choices;
    struct chat_choice choices[REQUEST_CHOICES_MAX];
};

enum status chat_events_new(size_t n_choices, chat_delta_fn *fn, void *arg,
                            struct chat_events **ret_events, struct err *err)
{
    struct chat_events *c = calloc(1, sizeof(*c));

    if (!c)
        return err_set(err, ST_NOMEM, "an upstream's answer");
    c->fn = fn;
    c->arg = arg;
    c->n_choices = n_choices < REQUEST_CHOICES_MAX ? n_choices : REQUEST_CHOICES_MAX;
    *ret_events = c;
    return ST_OK;
}

void chat_events_free(struct chat_events *c)
{
    free(c);
}

static void give(struct chat_events *c, struct reply_delta delta)
{
    delta.n_tokens = c->choices[delta.choice].n_tokens;
    c->fn(c->arg, &delta);
}

static void give_text(struct chat_events *c, uint32_t index, enum reply_part part,
                      const json_t *text)
{
    if (json_string_length(text) == 0)
        return;
    give(c, (struct reply_delta){ .choice = index,
                                  .part = part,
                                  .text = json_string_value(text),
                                  .n_text = json_string_length(text) });
}

/* Arguments are a JSON object, and some servers leave an empty one out. */
static void end_call(struct chat_events *c, uint32_t index)
{
    struct chat_choice *choice = &c->choices[index];

    if (choice->n_calls > 0 && !choice->has_arguments)
        give(c, (struct reply_delta){ .choice = index,
                                      .part = REPLY_TOOL_ARGUMENTS,
                                      .call = choice->n_calls - 1,
                                      .text = "{}",
                                      .n_text = 2 });
    choice->has_arguments = true;
}

static void begin_call(struct chat_events *c, uint32_t index, const json_t *name)
{
    struct chat_choice *choice = &c->choices[index];

    end_call(c, index);
    choice->has_arguments = false;
    choice->n_calls++;
    give(c, (struct reply_delta){ .choice = index,
                                  .part = REPLY_TOOL_NAME,
                                  .call = choice->n_calls - 1,
                                  .text = json_string_value(name),
                                  .n_text = json_string_length(name) });
}

/* As text in pieces, or an object at once. */
static void give_arguments(struct chat_events *c, uint32_t index, const json_t *arguments)
{
    struct chat_choice *choice = &c->choices[index];
    char *dumped = json_is_object(arguments) ? json_dumps(arguments, JSON_COMPACT) : NULL;
    const char *text = dumped ? dumped : json_string_value(arguments);

    if (text && text[0]) {
        choice->has_arguments = true;
        give(c, (struct reply_delta){ .choice = index,
                                      .part = REPLY_TOOL_ARGUMENTS,
                                      .call = choice->n_calls - 1,
                                      .text = text,
                                      .n_text = strlen(text) });
    }
    free(dumped);
}

/* One of "tool_calls".  Where servers give no index, a name begins the next call. */
static enum status read_call(struct chat_events *c, uint32_t index, const json_t *call,
                             struct err *err)
{
    struct chat_choice *choice = &c->choices[index];
    const json_t *function = json_object_get(call, "function");
    const json_t *name = json_object_get(function, "name");
    const json_t *given = json_object_get(call, "index");
    const json_int_t number = json_integer_value(given);
    const bool has_name = json_string_length(name) > 0;
    const bool is_new = has_name && (choice->n_calls == 0 || !given || number != choice->call);

    if (choice->n_calls == CALLS_MAX && is_new)
        return err_set(err, ST_FORMAT, "more than %d calls in one answer", CALLS_MAX);
    if (!is_new && (choice->n_calls == 0 || (given && number != choice->call)))
        return err_set(err, ST_FORMAT, "a call went on that is not the last one");
    if (is_new) {
        choice->call = number;
        begin_call(c, index, name);
    }
    give_arguments(c, index, json_object_get(function, "arguments"));
    return ST_OK;
}

static enum finish_reason finish_of(const struct chat_choice *choice, const char *word)
{
    if (word && strcmp(word, "length") == 0)
        return FINISH_LENGTH;
    return choice->n_calls > 0 ? FINISH_TOOL_CALLS : FINISH_STOP;
}

static void finish(struct chat_events *c, uint32_t index, const char *word, const char *stop)
{
    struct chat_choice *choice = &c->choices[index];

    if (choice->is_finished)
        return;
    end_call(c, index);
    choice->is_finished = true;
    give(c, (struct reply_delta){
                .choice = index, .text = "", .finish = finish_of(choice, word), .stop = stop });
}

/* Of a chat's message or delta, or of an older completion's choice. */
static enum status read_words(struct chat_events *c, uint32_t index, const json_t *words,
                              struct err *err)
{
    static const struct {
        const char *name;
        enum reply_part part;
    } rows[] = {
        { "reasoning_content", REPLY_REASONING },
        { "reasoning", REPLY_REASONING },
        { "content", REPLY_TEXT },
        { "refusal", REPLY_TEXT },
        { "text", REPLY_TEXT },
    };
    const json_t *calls = json_object_get(words, "tool_calls");
    const json_t *thoughts = json_object_get(words, "reasoning_content");
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (i == 1 && json_string_length(thoughts) > 0)
            continue; /* both names, for old clients' sake: the same thoughts */
        give_text(c, index, rows[i].part, json_object_get(words, rows[i].name));
    }
    for (size_t i = 0; i < json_array_size(calls) && s == ST_OK; i++)
        s = read_call(c, index, json_array_get(calls, i), err);
    return s;
}

static enum status read_choice(struct chat_events *c, const json_t *given, const json_t *event,
                               struct err *err)
{
    const json_int_t number = json_integer_value(json_object_get(given, "index"));
    const json_t *words = json_object_get(given, "delta");
    const char *word = json_string_value(json_object_get(given, "finish_reason"));
    const json_int_t n_tokens = json_integer_value(json_object_get(event, "resume_tokens"));
    struct chat_choice *choice;
    enum status s;

    if (number < 0 || (size_t)number >= c->n_choices)
        return err_set(err, ST_FORMAT, "an answer that was not asked for");
    choice = &c->choices[number];
    if (choice->is_finished)
        return ST_OK;
    if (!json_is_object(words))
        words = json_object_get(given, "message");
    choice->n_tokens = n_tokens > 0 ? (uint64_t)n_tokens : choice->n_tokens + !word;
    s = read_words(c, (uint32_t)number, json_is_object(words) ? words : given, err);
    if (s == ST_OK && word) /* vLLM says by which string it stopped */
        finish(c, (uint32_t)number, word, json_string_value(json_object_get(given, "stop_reason")));
    return s;
}

static uint64_t count(const json_t *object, const char *name)
{
    const json_int_t n = json_integer_value(json_object_get(object, name));

    return n > 0 ? (uint64_t)n : 0;
}

static void read_usage(struct chat_events *c, const json_t *usage)
{
    if (!json_is_object(usage))
        return;
    c->has_usage = true;
    c->usage = (struct reply_usage){
        .prompt_tokens = count(usage, "prompt_tokens"),
        .completion_tokens = count(usage, "completion_tokens"),
        .cached_tokens = count(json_object_get(usage, "prompt_tokens_details"), "cached_tokens"),
        .reasoning_tokens =
            count(json_object_get(usage, "completion_tokens_details"), "reasoning_tokens"),
    };
    if (c->usage.cached_tokens > c->usage.prompt_tokens)
        c->usage.cached_tokens = c->usage.prompt_tokens;
}

static enum status read_object(struct chat_events *c, const json_t *event, struct err *err)
{
    const json_t *choices = json_object_get(event, "choices");
    const json_t *error = json_object_get(event, "error");
    const char *words =
        json_string_value(json_is_object(error) ? json_object_get(error, "message") : error);
    enum status s = ST_OK;

    if (error && !json_is_null(error))
        return err_set(err, ST_PEER, "%s", words ? words : "it does not say why");
    if (!json_is_array(choices) && !json_object_get(event, "usage"))
        return err_set(err, ST_FORMAT, "an event without choices");
    for (size_t i = 0; i < json_array_size(choices) && s == ST_OK; i++)
        s = read_choice(c, json_array_get(choices, i), event, err);
    read_usage(c, json_object_get(event, "usage"));
    return s;
}

enum status chat_events_whole(struct chat_events *c, const char *body, size_t n, struct err *err)
{
    struct api_error e;
    json_t *event;
    enum status s;

    if (json_in_object(body, n, &event, &e) != ST_OK)
        return err_set(err, ST_FORMAT, "what came is no JSON object");
    s = read_object(c, event, err);
    json_decref(event);
    return s;
}

static enum status read_line(struct chat_events *c, const char *line, size_t n, struct err *err)
{
    static const char name[] = "data:", done[] = "[DONE]";

    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n < sizeof(name) - 1 || memcmp(line, name, sizeof(name) - 1) != 0)
        return ST_OK; /* comments, names of events */
    line += sizeof(name) - 1;
    n -= sizeof(name) - 1;
    while (n > 0 && *line == ' ') {
        line++;
        n--;
    }
    if (n == 0 || (n >= sizeof(done) - 1 && memcmp(line, done, sizeof(done) - 1) == 0))
        return ST_OK;
    return chat_events_whole(c, line, n, err);
}

enum status chat_events_feed(struct chat_events *c, const char *bytes, size_t n, struct err *err)
{
    enum status s = ST_OK;

    while (n > 0 && s == ST_OK) {
        const char *end = memchr(bytes, '\n', n);
        const size_t n_line = end ? (size_t)(end - bytes) : n;

        s = read_line(c, bytes, n_line, err);
        n -= n_line + (end != NULL);
        bytes += n_line + (end != NULL);
    }
    return s;
}

void chat_events_finish(struct chat_events *c)
{
    for (uint32_t i = 0; i < c->n_choices; i++)
        finish(c, i, NULL, NULL);
}

struct reply_usage chat_events_usage(const struct chat_events *c)
{
    struct reply_usage usage = c->usage;

    for (size_t i = 0; i < c->n_choices && !c->has_usage; i++)
        usage.completion_tokens += c->choices[i].n_tokens;
    return usage;
}
