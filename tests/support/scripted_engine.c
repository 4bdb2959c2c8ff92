/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/scripted_engine.c - an engine double that says what a script says.
 *
 * Linked into the program in the place of the engine (tests/support/CMakeLists.txt), so that all
 * around it is real: gateway, scheduler, sampler, pages.  From the environment:
 *
 *   POMONA_SCRIPT        a file: [{"when": "part of the prompt", "say": "answer"}, ...]
 *   POMONA_SCRIPT_MODEL  the GGUF file whose tokenizer the prompts were made with
 *   POMONA_SCRIPT_TOKENS_PER_S  how fast a step of answers is, at most; unset: as fast as it goes
 *
 *   POMONA_SCRIPT_WEDGE  a file: the step that finds it removes it, and never ends, with a pulse all the while
 *
 * The first entry whose `when` occurs in the prompt is said, and then the text ends; an entry
 * without `when` answers everything.  The script is read anew for each prompt.
 *
 * Pages hold tokens in the place of keys and values, so a sequence's text is found through its page
 * table alone, as a real engine finds keys: shared, moved and recomputed pages are met.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "model/model.h"
#include "text/tokenizer/tokens.h"

enum { ANSWERS_MAX = 256 };

struct said {
    int32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
    struct tokens answer;
};

struct scripted {
    struct engine_shard base;
    struct engine_options o;
    uint32_t n_vocab;
    int32_t *pages; /* [n_pages][page_tokens] */
    struct tokenizer *tokenizer;
    struct said said[ANSWERS_MAX]; /* a ring */
    size_t n_said;
    struct tokens sequence; /* of the row that is looked at */
    uint64_t step_ns;
};

static int32_t *slot(struct scripted *e, const struct engine_span *span, uint32_t position)
{
    const uint32_t page = span->pages[position / e->o.page_tokens];

    return &e->pages[(size_t)page * e->o.page_tokens + position % e->o.page_tokens];
}

static int32_t end_token(const struct scripted *e)
{
    int32_t ends[8];

    return e->tokenizer && tokenizer_end_tokens(e->tokenizer, ends, 8) ? ends[0] : 0;
}

static void text_of(const struct scripted *e, const struct tokens *tokens, struct buf *ret)
{
    for (size_t i = 0; i < tokens->n; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(e->tokenizer, tokens->ids[i], &n);

        buf_append(ret, bytes, n);
    }
}

static const char *line_for(const json_t *script, const char *prompt)
{
    for (size_t i = 0; i < json_array_size(script); i++) {
        const json_t *entry = json_array_get(script, i);
        const char *when = json_string_value(json_object_get(entry, "when"));

        if (!when || strstr(prompt, when))
            return json_string_value(json_object_get(entry, "say"));
    }
    return NULL;
}

/* A new prompt: what is said to it?  NULL: nothing, it is no prompt of a script. */
static const struct said *begin(struct scripted *e)
{
    struct said *said = &e->said[e->n_said % ANSWERS_MAX];
    const char *path = getenv("POMONA_SCRIPT");
    json_t *script = path && e->tokenizer ? json_load_file(path, 0, NULL) : NULL;
    struct buf prompt = { 0 };
    struct err err = { 0 };
    const char *line = NULL;

    if (script) {
        text_of(e, &e->sequence, &prompt);
        line = line_for(script, buf_text(&prompt));
    }
    free(said->prompt);
    tokens_release(&said->answer);
    *said = (struct said){ .n_prompt = e->sequence.n };
    said->prompt = malloc(e->sequence.n * sizeof(*said->prompt));
    if (line && said->prompt &&
        tokenizer_encode(e->tokenizer, line, strlen(line), NULL, &said->answer, &err) == ST_OK) {
        memcpy(said->prompt, e->sequence.ids, e->sequence.n * sizeof(*said->prompt));
        e->n_said++;
    } else {
        said->n_prompt = 0;
        line = NULL;
    }
    buf_release(&prompt);
    json_decref(script);
    return line ? said : NULL;
}

/* Does the sequence go on with `said`?  Its next token, or -1. */
static int32_t next_of(const struct scripted *e, const struct said *said)
{
    const struct tokens *q = &e->sequence;
    const size_t n_answered = q->n - said->n_prompt;

    if (said->n_prompt == 0 || q->n < said->n_prompt || n_answered > said->answer.n ||
        memcmp(q->ids, said->prompt, said->n_prompt * sizeof(*q->ids)) != 0)
        return -1;
    if (n_answered > 0 &&
        memcmp(q->ids + said->n_prompt, said->answer.ids, n_answered * sizeof(*q->ids)) != 0)
        return -1;
    return n_answered == said->answer.n ? end_token(e) : said->answer.ids[n_answered];
}

static int32_t next_token(struct scripted *e, bool is_guess)
{
    const struct said *said;

    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        const int32_t token = next_of(e, &e->said[i]);

        if (token >= 0 && e->sequence.n == e->said[i].n_prompt)
            e->said[i].n_prompt = 0; /* asked again: the script may be another */
        else if (token >= 0)
            return token;
    }
    said = is_guess ? NULL : begin(e);
    return said && said->answer.n > 0 ? said->answer.ids[0] : end_token(e);
}

static enum status read_sequence(struct scripted *e, const struct engine_span *span, uint32_t n,
                                 struct err *err)
{
    e->sequence.n = 0;
    if (tokens_reserve(&e->sequence, n, err) != ST_OK)
        return ST_NOMEM;
    for (uint32_t p = 0; p < n; p++)
        e->sequence.ids[e->sequence.n++] = *slot(e, span, p);
    return ST_OK;
}

/* A row whose neighbour before it had logits, too, is a guess and no end of a prompt. */
static enum status run_span(struct scripted *e, const struct engine_batch *b,
                            const struct engine_span *span, uint32_t *n_logits, float *out,
                            struct err *err)
{
    bool is_guess = false;

    for (uint32_t k = 0; k < span->n_rows; k++) {
        float *logits = out + (size_t)*n_logits * e->n_vocab;
        int32_t token;

        *slot(e, span, span->start + k) = b->tokens[span->first_row + k];
        if (*n_logits == b->n_logit_rows || b->logit_rows[*n_logits] != span->first_row + k)
            continue;
        if (read_sequence(e, span, span->start + k + 1, err) != ST_OK)
            return ST_NOMEM;
        token = next_token(e, is_guess);
        memset(logits, 0, e->n_vocab * sizeof(*logits));
        if (token >= 0 && (uint32_t)token < e->n_vocab)
            logits[token] = 100.0f;
        (*n_logits)++;
        is_guess = true;
    }
    return ST_OK;
}

static void sleep_until(uint64_t until_ns)
{
    while (clock_ns() < until_ns) {
        const uint64_t left = until_ns - clock_ns();
        struct timespec t = { .tv_sec = (time_t)(left / NS_PER_S),
                              .tv_nsec = (long)(left % NS_PER_S) };

        if (left > NS_PER_S * 10 || nanosleep(&t, NULL) == 0)
            return;
    }
}

/* As a loop that does not come to its end: whoever counts its pulse takes it for busy. */
static void wedge_if_asked(const struct scripted *e)
{
    const char *path = getenv("POMONA_SCRIPT_WEDGE");
    const struct timespec pause = { 0, 10 * 1000000L };

    if (!path || unlink(path) != 0)
        return;
    for (;;) {
        if (e->o.on_pulse)
            e->o.on_pulse(e->o.pulse_arg, PULSE_ON);
        (void)nanosleep(&pause, NULL);
    }
}

static enum status scripted_step(struct engine_shard *shard, const struct engine_batch *b,
                                 float *hidden_out, float *logits_out, struct err *err)
{
    struct scripted *e = (struct scripted *)shard;
    const uint64_t until_ns = clock_ns() + e->step_ns;
    uint32_t n_logits = 0;
    enum status s = ST_OK;

    if (!b->tokens || hidden_out)
        return err_set(err, ST_UNSUPPORTED, "a scripted model is on one node");
    if (e->o.on_pulse)
        e->o.on_pulse(e->o.pulse_arg, PULSE_BEGIN);
    wedge_if_asked(e);
    for (uint32_t i = 0; i < b->n_spans && s == ST_OK; i++)
        s = run_span(e, b, &b->spans[i], &n_logits, logits_out, err);
    if (e->step_ns && b->n_logit_rows > 0)
        sleep_until(until_ns);
    if (e->o.on_pulse)
        e->o.on_pulse(e->o.pulse_arg, PULSE_END);
    return s;
}

static size_t scripted_page_bytes(const struct engine_shard *shard)
{
    const struct scripted *e = (const struct scripted *)shard;

    return e->o.page_tokens * sizeof(*e->pages);
}

static void scripted_page_copy(struct engine_shard *shard, uint32_t to, uint32_t from)
{
    struct scripted *e = (struct scripted *)shard;

    memmove(e->pages + (size_t)to * e->o.page_tokens, e->pages + (size_t)from * e->o.page_tokens,
            scripted_page_bytes(shard));
}

static void scripted_page_export(const struct engine_shard *shard, uint32_t page, void *ret_bytes)
{
    const struct scripted *e = (const struct scripted *)shard;

    memcpy(ret_bytes, e->pages + (size_t)page * e->o.page_tokens, scripted_page_bytes(shard));
}

static void scripted_page_import(struct engine_shard *shard, uint32_t page, const void *bytes)
{
    struct scripted *e = (struct scripted *)shard;

    memcpy(e->pages + (size_t)page * e->o.page_tokens, bytes, scripted_page_bytes(shard));
}

static const char *scripted_kernels(const struct engine_shard *shard)
{
    (void)shard;
    return "scripted";
}

static void scripted_close(struct engine_shard *shard)
{
    struct scripted *e = (struct scripted *)shard;

    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        free(e->said[i].prompt);
        tokens_release(&e->said[i].answer);
    }
    tokens_release(&e->sequence);
    tokenizer_free(e->tokenizer);
    free(e->pages);
    free(e);
}

static enum status open_tokenizer(struct scripted *e, struct err *err)
{
    const char *path = getenv("POMONA_SCRIPT_MODEL");
    struct model *model = NULL;
    enum status s;

    if (!path)
        return ST_OK; /* a measuring of the machine: what it says does not matter */
    s = model_open(path, &model, err);
    if (s == ST_OK)
        s = model_tokenizer(model, &e->tokenizer, err);
    model_free(model);
    return s;
}

static enum status scripted_open(const struct shard_weights *weights,
                                 const struct engine_options *options,
                                 struct engine_shard **ret_shard, struct err *err);

static const struct engine_type scripted_type = {
    .name = "scripted",
    .open = scripted_open,
    .close = scripted_close,
    .step = scripted_step,
    .page_bytes = scripted_page_bytes,
    .page_copy = scripted_page_copy,
    .page_export = scripted_page_export,
    .page_import = scripted_page_import,
    .kernels = scripted_kernels,
};

static enum status scripted_open(const struct shard_weights *weights,
                                 const struct engine_options *options,
                                 struct engine_shard **ret_shard, struct err *err)
{
    struct scripted *e = calloc(1, sizeof(*e));
    const char *rate = getenv("POMONA_SCRIPT_TOKENS_PER_S");
    enum status s;

    if (!e)
        return err_set(err, ST_NOMEM, "a scripted engine");
    e->base.type = &scripted_type;
    e->o = *options;
    e->n_vocab = weights->shape.n_vocab;
    e->step_ns =
        rate && strtod(rate, NULL) > 0 ? (uint64_t)((double)NS_PER_S / strtod(rate, NULL)) : 0;
    e->pages = calloc((size_t)options->n_pages * options->page_tokens, sizeof(*e->pages));
    s = e->pages ? open_tokenizer(e, err) : err_set(err, ST_NOMEM, "pages of a scripted engine");
    if (s != ST_OK) {
        scripted_close(&e->base);
        return s;
    }
    *ret_shard = &e->base;
    return ST_OK;
}

/* The linker puts this in the place of engine_find(). */
const struct engine_type *__wrap_engine_find(const char *name);

const struct engine_type *__wrap_engine_find(const char *name)
{
    (void)name;
    return &scripted_type;
}
