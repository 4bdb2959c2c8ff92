/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/load.c - start requests when they are due, until all are answered.
 *
 * A slot is a talk that comes and goes.  The free ones are a stack, so that
 * the connection used last, still warm, is used next.
 */
#include "cmd/bench/serve/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/bench/serve/prompt.h"

enum { POLL_MS = 100, URL_MAX_BYTES = 2048 };

struct load {
    const struct load_options *options;
    struct talk_options talk;
    char url[URL_MAX_BYTES];
    CURLM *multi;
    struct talk *talks; /* [n_slots] */
    uint32_t *free;     /* [n_slots]: a stack of n_free slots */
    uint32_t n_slots, n_free;
    uint64_t start_ns, end_ns; /* no request starts after the end */
    uint64_t due_ns;           /* open loop: of the next request */
    uint64_t n_started;
    struct load_result result;
};

/* ---- requests ---- */

static enum status body_make(const struct load *load, struct talk *talk, struct err *err)
{
    const struct load_options *o = load->options;
    struct buf prompt = { 0 };
    json_t *body;
    char *text;

    prompt_words(&prompt, o->seed, load->n_started, o->n_words);
    body = json_pack("{s:s, s:[{s:s, s:s}], s:I, s:f, s:b, s:{s:b}}", "model", o->model, "messages",
                     "role", "user", "content", buf_text(&prompt), "max_tokens",
                     (json_int_t)o->max_tokens, "temperature", 0.0, "stream", 1, "stream_options",
                     "include_usage", 1);
    buf_release(&prompt);
    if (o->extra)
        (void)json_object_update(body, (json_t *)o->extra); /* reads it only */
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text)
        return err_set(err, ST_NOMEM, "no memory for one more request");
    buf_clear(&talk->body);
    buf_puts(&talk->body, text);
    free(text);
    return ST_OK;
}

static enum status start_one(struct load *load, uint64_t due_ns, struct err *err)
{
    struct talk *talk = &load->talks[load->free[load->n_free - 1]];
    enum status s;

    s = body_make(load, talk, err);
    if (s == ST_OK)
        s = talk_begin(talk, &load->talk, due_ns, load->multi, err);
    if (s != ST_OK)
        return s;
    load->n_free--;
    load->n_started++;
    return ST_OK;
}

static bool may_start(const struct load *load, uint64_t now)
{
    return load->n_started < load->options->n_requests && now < load->end_ns;
}

static enum status start_closed(struct load *load, struct err *err)
{
    enum status s = ST_OK;

    while (s == ST_OK && load->n_free > 0 && may_start(load, clock_ns()))
        s = start_one(load, clock_ns(), err);
    return s;
}

static enum status start_open(struct load *load, struct err *err)
{
    const struct load_options *o = load->options;
    enum status s = ST_OK;

    while (s == ST_OK && may_start(load, load->due_ns) && load->due_ns <= clock_ns()) {
        if (load->n_free > 0) {
            s = start_one(load, load->due_ns, err);
        } else {
            load->n_started++;
            load->result.n_faults[TALK_NO_ROOM]++;
        }
        load->due_ns +=
            (uint64_t)(prompt_arrival_s(o->seed, load->n_started, o->rate) * (double)NS_PER_S);
    }
    return s;
}

/* ---- answers ---- */

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / (double)NS_PER_S : 0;
}

static void count_fine(struct load *load, const struct talk *talk, uint64_t end_ns)
{
    const struct load_options *o = load->options;
    struct load_result *r = &load->result;
    const uint64_t n_tokens = talk->has_usage ? talk->n_tokens : talk->n_pieces;
    const double ttft = seconds(talk->due_ns, talk->first_ns);
    const double pace =
        n_tokens > 1 ? seconds(talk->first_ns, talk->last_ns) / (double)(n_tokens - 1) : 0;

    r->n_fine++;
    r->n_counted += talk->has_usage;
    r->n_prompt += talk->n_prompt;
    r->n_tokens += n_tokens;
    samples_add(&r->ttft, ttft);
    samples_add(&r->paces, pace);
    samples_add(&r->latency, seconds(talk->due_ns, end_ns));
    for (size_t i = 0; i < talk->gaps.n; i++)
        samples_add(&r->gaps, talk->gaps.values[i]);
    if ((o->ttft_bound_s <= 0 || ttft <= o->ttft_bound_s) &&
        (o->gap_bound_s <= 0 || pace <= o->gap_bound_s))
        r->n_good++;
}

static void count(struct load *load, const struct talk *talk)
{
    const uint64_t now = clock_ns();
    struct load_result *r = &load->result;

    r->n_faults[talk->fault]++;
    r->seconds = seconds(load->start_ns, now);
    if (talk->fault == TALK_FINE)
        count_fine(load, talk, now);
    else if (r->words[0] == '\0')
        (void)snprintf(r->words, sizeof(r->words), "%s", talk->words);
}

static void take_ended(struct load *load)
{
    const CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(load->multi, &n_left))) {
        const CURLcode code = message->data.result;
        char *private = NULL;
        struct talk *talk;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        talk = (struct talk *)(void *)private;
        talk_end(talk, load->multi, code);
        count(load, talk);
        load->free[load->n_free++] = (uint32_t)(talk - load->talks);
    }
}

/* ---- the run ---- */

static int wait_ms(const struct load *load)
{
    const int due_ms = deadline_poll_ms(load->due_ns);

    if (load->options->rate <= 0 || !may_start(load, load->due_ns))
        return POLL_MS;
    return due_ms < POLL_MS ? due_ms : POLL_MS;
}

static bool is_over(const struct load *load)
{
    const uint64_t next_ns = load->options->rate > 0 ? load->due_ns : clock_ns();

    return load->n_free == load->n_slots && !may_start(load, next_ns);
}

static enum status drive(struct load *load, struct err *err)
{
    enum status s = ST_OK;

    while (s == ST_OK && !is_over(load)) {
        int n_running = 0;

        s = load->options->rate > 0 ? start_open(load, err) : start_closed(load, err);
        if (s == ST_OK && curl_multi_perform(load->multi, &n_running) != CURLM_OK)
            s = err_set(err, ST_IO, "libcurl failed");
        take_ended(load);
        if (s == ST_OK && !is_over(load) &&
            curl_multi_poll(load->multi, NULL, 0, wait_ms(load), NULL) != CURLM_OK)
            s = err_set(err, ST_IO, "libcurl failed");
    }
    return s;
}

static struct curl_slist *headers_make(const char *key)
{
    static const char *const plain[] = { "Content-Type: application/json",
                                         "Accept: text/event-stream", "Expect:" };
    struct curl_slist *headers = NULL;
    char line[512];

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        struct curl_slist *longer = curl_slist_append(headers, plain[i]);

        if (!longer)
            goto failed;
        headers = longer;
    }
    if (key) {
        struct curl_slist *longer;

        (void)snprintf(line, sizeof(line), "Authorization: Bearer %s", key);
        longer = curl_slist_append(headers, line);
        if (!longer)
            goto failed;
        headers = longer;
    }
    return headers;
failed:
    curl_slist_free_all(headers);
    return NULL;
}

static enum status url_make(struct load *load, struct err *err)
{
    const char *base = load->options->url;
    size_t n = strlen(base);

    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return err_set(err, ST_RANGE, "'%s' does not start with http:// or https://", base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (snprintf(load->url, sizeof(load->url), "%.*s/chat/completions", (int)n, base) >=
        (int)sizeof(load->url))
        return err_set(err, ST_RANGE, "the URL is longer than %d bytes", URL_MAX_BYTES);
    return ST_OK;
}

static enum status load_init(struct load *load, const struct load_options *o, struct err *err)
{
    const uint32_t n_slots = o->rate > 0 ? LOAD_OPEN_MAX : o->n_clients;

    load->options = o;
    load->n_slots = load->n_free = n_slots;
    load->multi = curl_multi_init();
    load->talks = calloc(n_slots, sizeof(*load->talks));
    load->free = calloc(n_slots, sizeof(*load->free));
    load->talk = (struct talk_options){ .url = load->url,
                                        .headers = headers_make(o->key),
                                        .timeout_ms = (long)(1000 * o->timeout_s) };
    if (!load->multi || !load->talks || !load->free || !load->talk.headers)
        return err_set(err, ST_NOMEM, "no memory for %u requests at once", n_slots);
    (void)curl_multi_setopt(load->multi, CURLMOPT_MAXCONNECTS, (long)n_slots);
    for (uint32_t i = 0; i < n_slots; i++)
        load->free[i] = n_slots - 1 - i;
    load->start_ns = clock_ns();
    load->end_ns = load->start_ns + (uint64_t)(o->duration_s * (double)NS_PER_S);
    load->due_ns = load->start_ns;
    return url_make(load, err);
}

static void load_release(struct load *load)
{
    for (uint32_t i = 0; load->talks && i < load->n_slots; i++) {
        if (load->multi && load->talks[i].curl)
            (void)curl_multi_remove_handle(load->multi, load->talks[i].curl);
        talk_release(&load->talks[i]);
    }
    (void)curl_multi_cleanup(load->multi);
    curl_slist_free_all(load->talk.headers);
    free(load->talks);
    free(load->free);
    load_result_release(&load->result);
}

enum status load_run(const struct load_options *options, struct load_result *ret_result,
                     struct err *err)
{
    struct load load = { 0 };
    enum status s;

    s = load_init(&load, options, err);
    if (s == ST_OK)
        s = drive(&load, err);
    if (s == ST_OK) {
        load.result.n_requests = load.n_started;
        *ret_result = load.result;
        load.result = (struct load_result){ 0 };
    }
    load_release(&load);
    return s;
}

void load_result_release(struct load_result *result)
{
    samples_release(&result->ttft);
    samples_release(&result->gaps);
    samples_release(&result->paces);
    samples_release(&result->latency);
}
