/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/talk.c - one streamed chat completion on libcurl. */
#include "cmd/bench/serve/talk.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

enum { CONNECT_MS = 5000, REFUSAL_MAX_BYTES = 4096, REFUSED = 400, FAILED = 500 };

const char *talk_fault_word(enum talk_fault fault)
{
    static const char *const words[] = {
#define X(name, word) word,
        TALK_FAULTS(X)
#undef X
    };

    return words[fault];
}

static void fault_set(struct talk *talk, enum talk_fault fault, const char *words)
{
    if (talk->fault != TALK_FINE)
        return;
    talk->fault = fault;
    (void)snprintf(talk->words, sizeof(talk->words), "%s", words ? words : "");
}

static void piece_came(struct talk *talk)
{
    const uint64_t now = clock_ns();

    if (talk->n_pieces == 0)
        talk->first_ns = now;
    else
        samples_add(&talk->gaps, (double)(now - talk->last_ns) / (double)NS_PER_S);
    talk->last_ns = now;
    talk->n_pieces++;
}

/* Text of an answer, or of the thoughts before it. */
static bool has_text(const json_t *chunk)
{
    static const char *const names[] = { "content", "reasoning_content", "reasoning" };
    const json_t *choice = json_array_get(json_object_get(chunk, "choices"), 0);
    const json_t *delta = json_object_get(choice, "delta");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (json_string_length(json_object_get(delta, names[i])) > 0)
            return true;
    return false;
}

static const char *message_of(const json_t *reply)
{
    return json_string_value(json_object_get(json_object_get(reply, "error"), "message"));
}

static void on_event(void *arg, const char *data, size_t n)
{
    struct talk *talk = arg;
    const json_t *usage;
    json_t *chunk;

    if (n == 6 && memcmp(data, "[DONE]", n) == 0) {
        talk->is_done = true;
        return;
    }
    chunk = json_loadb(data, n, 0, NULL);
    usage = json_object_get(chunk, "usage");
    if (!json_is_object(chunk))
        fault_set(talk, TALK_NONSENSE, "an event is not a JSON object");
    else if (json_object_get(chunk, "error"))
        fault_set(talk, TALK_ERROR_EVENT, message_of(chunk));
    else if (has_text(chunk))
        piece_came(talk);
    if (json_is_object(usage)) {
        talk->has_usage = true;
        talk->n_prompt = (uint64_t)json_integer_value(json_object_get(usage, "prompt_tokens"));
        talk->n_tokens = (uint64_t)json_integer_value(json_object_get(usage, "completion_tokens"));
    }
    json_decref(chunk);
}

static long http_status(const struct talk *talk)
{
    long status = 0;

    (void)curl_easy_getinfo(talk->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* libcurl's write callback: anything but n ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct talk *talk = arg;

    n *= size;
    if (http_status(talk) >= REFUSED) {
        if (talk->refusal.len + n <= REFUSAL_MAX_BYTES)
            buf_append(&talk->refusal, bytes, n);
        return n;
    }
    if (sse_feed(&talk->sse, bytes, n, on_event, talk) == ST_OK)
        return n;
    fault_set(talk, TALK_NONSENSE, "an event is too long");
    return 0;
}

static void start_afresh(struct talk *talk, uint64_t due_ns)
{
    buf_clear(&talk->refusal);
    sse_clear(&talk->sse);
    samples_clear(&talk->gaps);
    talk->due_ns = due_ns;
    talk->first_ns = talk->last_ns = 0;
    talk->n_pieces = talk->n_prompt = talk->n_tokens = 0;
    talk->has_usage = talk->is_done = false;
    talk->fault = TALK_FINE;
    talk->words[0] = '\0';
}

enum status talk_begin(struct talk *talk, const struct talk_options *options, uint64_t due_ns,
                       CURLM *multi, struct err *err)
{
    CURL *curl = talk->curl ? talk->curl : curl_easy_init();

    if (!curl || buf_status(&talk->body) != ST_OK)
        return err_set(err, ST_NOMEM, "no memory for one more request");
    talk->curl = curl;
    start_afresh(talk, due_ns);
    (void)curl_easy_setopt(curl, CURLOPT_URL, options->url);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, options->timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "pomona/" POMONA_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, options->headers);
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, buf_text(&talk->body));
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, talk);
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, talk);
    if (curl_multi_add_handle(multi, curl) != CURLM_OK)
        return err_set(err, ST_NOMEM, "libcurl takes no more requests");
    return ST_OK;
}

static void judge_refusal(struct talk *talk, long status)
{
    json_t *reply = json_loadb(buf_text(&talk->refusal), talk->refusal.len, 0, NULL);
    const char *words = message_of(reply);

    fault_set(talk, status < FAILED ? TALK_REFUSED : TALK_FAILED,
              words ? words : buf_text(&talk->refusal));
    json_decref(reply);
}

static void judge(struct talk *talk, CURLcode code)
{
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        fault_set(talk, TALK_CONNECT, curl_easy_strerror(code));
    else if (code == CURLE_OPERATION_TIMEDOUT)
        fault_set(talk, TALK_TIMEOUT, "it took longer than --timeout");
    else if (code != CURLE_OK)
        fault_set(talk, TALK_BROKEN, curl_easy_strerror(code));
    else if (http_status(talk) >= REFUSED)
        judge_refusal(talk, http_status(talk));
    else if (!talk->is_done)
        fault_set(talk, talk->n_pieces > 0 ? TALK_BROKEN : TALK_NONSENSE,
                  "the answer ended without [DONE]");
    else if (talk->n_pieces == 0)
        fault_set(talk, TALK_NONSENSE, "the answer held no text");
}

void talk_end(struct talk *talk, CURLM *multi, CURLcode code)
{
    judge(talk, code);
    (void)curl_multi_remove_handle(multi, talk->curl);
}

void talk_release(struct talk *talk)
{
    curl_easy_cleanup(talk->curl);
    buf_release(&talk->body);
    buf_release(&talk->refusal);
    sse_release(&talk->sse);
    samples_release(&talk->gaps);
}
