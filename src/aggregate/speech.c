/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/speech.c - a model's text, told apart into words, thoughts and calls as it grows. */
#include "aggregate/speech.h"

#include <string.h>

#include "base/size.h"

/* What a look at the held text came to. */
enum look {
    LOOK_WAIT,  /* nothing more can be said of what is held */
    LOOK_AGAIN, /* something was consumed, or the state changed */
};

void speech_init(struct speech *s, const struct speech_options *options, speech_fn *fn, void *arg)
{
    *s = (struct speech){ .options = *options, .fn = fn, .arg = arg };
    if (options->thoughts && options->begins_in_thoughts) {
        s->state = SPEECH_THOUGHTS;
        s->has_thought = true;
    }
}

void speech_release(struct speech *s)
{
    buf_release(&s->held);
}

uint32_t speech_n_done(const struct speech *s)
{
    const bool is_open = s->state == SPEECH_CALL && s->has_begun && s->call.at != CALL_TAIL;

    return s->n_calls - (is_open ? 1 : 0);
}

static void drop(struct speech *s, size_t n)
{
    buf_consume(&s->held, n);
    s->consumed += n;
}

static void tell(struct speech *s, enum reply_part part, const char *text, size_t n, size_t n_raw)
{
    const struct speech_piece piece = {
        .part = part,
        .call = s->n_calls ? s->n_calls - 1 : 0,
        .text = text,
        .n = n,
        .begin = s->consumed,
        .end = s->consumed + n_raw,
    };

    s->fn(s->arg, &piece);
}

/* Give out the first n bytes held. */
static void give(struct speech *s, enum reply_part part, size_t n)
{
    if (n == 0)
        return;
    tell(s, part, buf_text(&s->held), n, n);
    drop(s, n);
}

static size_t count_space(const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t'))
        i++;
    return i;
}

static size_t without_space(const char *text, size_t n)
{
    while (n > 0 && count_space(text + n - 1, 1))
        n--;
    return n;
}

/* Where `mark` begins in the held text; its length where it does not. */
static size_t find_mark(const struct speech *s, const char *mark)
{
    const size_t n = strlen(mark);

    for (size_t i = 0; n > 0 && i + n <= s->held.len; i++) {
        if (memcmp(s->held.data + i, mark, n) == 0)
            return i;
    }
    return s->held.len;
}

/* How much of the held text's end may become `mark`. */
static size_t begun_mark(const struct speech *s, const char *mark)
{
    const size_t n_mark = strlen(mark);

    for (size_t n = size_min(n_mark ? n_mark - 1 : 0, s->held.len); n > 0; n--) {
        if (memcmp(s->held.data + s->held.len - n, mark, n) == 0)
            return n;
    }
    return 0;
}

/* Does the held text begin with `mark`, behind white space?  *ret_maybe: it may yet. */
static bool starts_with(const struct speech *s, const char *mark, bool is_last, bool *ret_maybe)
{
    const size_t space = count_space(buf_text(&s->held), s->held.len);
    const size_t left = s->held.len - space, n = strlen(mark);

    *ret_maybe = !is_last && left < n && memcmp(buf_text(&s->held) + space, mark, left) == 0;
    return left >= n && memcmp(buf_text(&s->held) + space, mark, n) == 0;
}

static enum look enter(struct speech *s, enum speech_state state, size_t n_mark)
{
    drop(s, n_mark);
    s->state = state;
    s->has_begun = false;
    s->call = (struct tool_call){ 0 };
    return LOOK_AGAIN;
}

/* Before the first word: thoughts, or, where calls have no mark, a call. */
static bool look_at_start(struct speech *s, bool is_last, enum look *ret)
{
    const struct speech_options *o = &s->options;
    const size_t space = count_space(buf_text(&s->held), s->held.len);
    bool maybe_thought = false, maybe_call = false;

    if (o->thoughts && !s->has_thought) {
        if (starts_with(s, o->thoughts->open, is_last, &maybe_thought)) {
            s->has_thought = true;
            *ret = enter(s, SPEECH_THOUGHTS, space + strlen(o->thoughts->open));
            return true;
        }
    }
    if (o->tools && !o->tools->open[0]) {
        maybe_call = space == s->held.len && !is_last;
        if (space < s->held.len && s->held.data[space] == '{') {
            *ret = enter(s, SPEECH_CALL, space);
            return true;
        }
    }
    *ret = LOOK_WAIT;
    return maybe_thought || maybe_call;
}

static enum look give_words(struct speech *s, size_t n)
{
    if (without_space(buf_text(&s->held), n) > 0)
        s->has_words = true;
    give(s, REPLY_TEXT, n);
    return LOOK_WAIT;
}

static enum look look_at_words(struct speech *s, bool is_last)
{
    const struct tool_format *tools = s->options.tools;
    const bool strips = s->has_thought || s->n_calls > 0; /* space between a mark and words */
    enum look look;
    size_t n;

    if (strips && !s->has_words)
        drop(s, count_space(buf_text(&s->held), s->held.len));
    if (s->held.len == 0)
        return LOOK_WAIT;
    if (!s->has_words && look_at_start(s, is_last, &look))
        return look;
    if (!tools || !tools->open[0])
        return give_words(s, s->held.len);
    n = find_mark(s, tools->open);
    if (n < s->held.len) {
        const size_t shown = without_space(buf_text(&s->held), n);

        (void)give_words(s, shown);
        return enter(s, SPEECH_CALL, n - shown + strlen(tools->open));
    }
    if (is_last)
        return give_words(s, s->held.len);
    n = s->held.len - begun_mark(s, tools->open);
    return give_words(s, without_space(buf_text(&s->held), n));
}

static enum look look_at_thoughts(struct speech *s, bool is_last)
{
    const struct thought_format *thoughts = s->options.thoughts;
    bool may_open = false;
    size_t n;

    if (!s->has_begun) {
        if (!s->has_opened && starts_with(s, thoughts->open, is_last, &may_open)) {
            /* the prompt had it already */
            drop(s, count_space(buf_text(&s->held), s->held.len) + strlen(thoughts->open));
            s->has_opened = true;
        }
        if (may_open)
            return LOOK_WAIT;
        drop(s, count_space(buf_text(&s->held), s->held.len));
        s->has_begun = s->held.len > 0;
    }
    n = find_mark(s, thoughts->close);
    if (n < s->held.len) {
        const size_t shown = without_space(buf_text(&s->held), n);

        give(s, REPLY_REASONING, shown);
        return enter(s, SPEECH_WORDS, n - shown + strlen(thoughts->close));
    }
    n = is_last ? s->held.len : s->held.len - begun_mark(s, thoughts->close);
    give(s, REPLY_REASONING, is_last ? n : without_space(buf_text(&s->held), n));
    return LOOK_WAIT;
}

/* What looked like a call is words; the mark before it, too. */
static enum look unmask(struct speech *s)
{
    const char *open = s->options.tools->open;

    s->state = SPEECH_WORDS;
    s->has_words = true; /* what is held is no second beginning */
    if (s->calls_again)
        s->calls_again = false;
    else if (open[0])
        tell(s, REPLY_TEXT, open, strlen(open), 0);
    else
        (void)give_words(s, 1); /* its bracket, so that it is not taken for a call again */
    return LOOK_AGAIN;
}

static void begin_call(struct speech *s, const struct buf *name)
{
    s->n_calls++;
    s->has_begun = true;
    tell(s, REPLY_TOOL_NAME, buf_text(name), name->len, 0);
}

static enum look look_at_head(struct speech *s, bool is_last)
{
    struct buf name = { 0 }, arguments = { 0 };
    enum look look = LOOK_AGAIN;
    size_t used = 0;

    switch (tool_call_head(&s->call, s->options.tools, s->options.functions, buf_text(&s->held),
                           s->held.len, is_last, &name, &arguments, &used)) {
    case HEAD_MORE: look = is_last ? unmask(s) : LOOK_WAIT; break;
    case HEAD_NONE: look = unmask(s); break;
    case HEAD_BEGUN:
        begin_call(s, &name);
        drop(s, used);
        s->call.at = CALL_ARGUMENTS;
        break;
    case HEAD_WHOLE:
        begin_call(s, &name);
        tell(s, REPLY_TOOL_ARGUMENTS, buf_text(&arguments), arguments.len, used);
        drop(s, used);
        s->call.at = CALL_TAIL;
        break;
    }
    if (buf_status(&name) != ST_OK || buf_status(&arguments) != ST_OK)
        s->held.failed = true;
    buf_release(&name);
    buf_release(&arguments);
    return look;
}

static enum look look_at_call(struct speech *s, bool is_last)
{
    bool is_complete, goes_on;
    size_t n;

    if (s->call.at == CALL_HEAD)
        return look_at_head(s, is_last);
    if (s->call.at == CALL_ARGUMENTS) {
        n = tool_call_arguments(&s->call, buf_text(&s->held), s->held.len, &is_complete);
        give(s, REPLY_TOOL_ARGUMENTS, n);
        if (!is_complete)
            return LOOK_WAIT;
        s->call.at = CALL_TAIL;
        return LOOK_AGAIN;
    }
    n = tool_call_tail(&s->call, s->options.tools, buf_text(&s->held), s->held.len, is_last,
                       &is_complete, &goes_on);
    drop(s, n);
    if (!is_complete)
        return LOOK_WAIT;
    s->has_words = s->has_words && goes_on;
    s->calls_again = goes_on;
    return enter(s, goes_on ? SPEECH_CALL : SPEECH_WORDS, 0);
}

static enum look look(struct speech *s, bool is_last)
{
    switch (s->state) {
    case SPEECH_WORDS: return look_at_words(s, is_last);
    case SPEECH_THOUGHTS: return look_at_thoughts(s, is_last);
    case SPEECH_CALL: return look_at_call(s, is_last);
    }
    return LOOK_WAIT;
}

void speech_push(struct speech *s, const char *text, size_t n, bool is_last)
{
    buf_append(&s->held, text, n);
    while (!s->held.failed && look(s, is_last) == LOOK_AGAIN)
        ;
}
