/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward_priv.h - the inside of a forwarded request, for the files that handle it. */
#ifndef POMONA_FLOW_UPSTREAM_FORWARD_PRIV_H
#define POMONA_FLOW_UPSTREAM_FORWARD_PRIV_H

#include "base/buf.h"
#include "contract/model_info.h"
#include "flow/upstream/events.h"
#include "flow/upstream/forward.h"
#include "flow/upstream/pool_priv.h"
#include "flow/upstream/tally.h"
#include "flow/upstream/translation.h"

/* Says to another Pomona that this request was passed on already. */
#define FORWARDED_HEADER "Pomona-Forwarded"

enum {
    FORWARDS_MAX = 8192,
    FORWARD_PATH_MAX = 64,
    FORWARD_KEY_MAX = 300,
    FORWARD_CONNECT_MS = 2000,
    FORWARD_SILENCE_MS = 300000,   /* before the first byte, and between two */
    FORWARD_EVENT_MAX = 8 << 20,   /* bytes of one event */
    FORWARD_ANSWER_MAX = 64 << 20, /* of an answer that is no stream */
    FORWARD_KEEP_ALIVE_MS = 10000,
};

struct forward {
    struct pool *pool;
    struct exchange *x;
    const struct dialect *dialect;
    char path[FORWARD_PATH_MAX];
    char model[MODEL_NAME_MAX];
    json_t *body;
    struct translation *words; /* owned; NULL: the answer goes out as it comes */
    struct buf sent;           /* the body for the upstream it is at */
    struct balance_request wanted;
    bool streams;              /* asked for, of the upstream */
    bool ends_with_done;       /* as streams of this path do */
    bool may_resume;           /* one choice, of a dialect that counts tokens */
    char key[FORWARD_KEY_MAX]; /* its idempotency key */

    struct upstream *at; /* NULL: none now */
    size_t model_there;  /* index of its models */
    struct http_call *call;
    struct span *span; /* of this try, owned; NULL: not sampled */
    struct http_answer_head head;
    uint64_t tried; /* a bit for each upstream */
    unsigned n_tries;
    bool is_retrying;        /* counted by the budget */
    struct loop_timer *wait; /* before another try; NULL: there was none yet */

    bool has_answer;   /* `held` is a whole one, a refusal; another may be better */
    bool is_streaming; /* headers went to the client */
    bool is_waiting;   /* its prompt counts as waiting at the upstream */
    struct buf held;   /* came, and was not passed on */
    struct events_seen seen;
    struct tally tally;
    struct reservation *reservation; /* owned; NULL: nothing is reserved */
    uint64_t n_used_tokens;          /* as a whole answer says; 0: it did not */
    uint64_t n_waiting_tokens;       /* there when it was sent, its own with them */
    uint64_t begun_ns, sent_ns, first_ns, last_ns;
    uint64_t token_ns; /* when the last token came; 0: none did */

    struct forward **link, *next;
};

/* Ask the next upstream; the request may be over afterwards. forward.c */
void forward_try(struct forward *f);

/* Send it to f->at; false: it could not be. forward_send.c */
bool forward_send(struct forward *f);

/* The call is over, f->at is left, whatever was the reason. */
void forward_leave(struct forward *f);

/* It failed there before the client was given anything, or in the middle: elsewhere, or over. */
void forward_again(struct forward *f, const char *why);

/* Over: the error, as status or as event. */
void forward_fail(struct forward *f, enum api_error_kind kind, const char *words);

/* Over: the answer held, as it came; or what it says, in the client's dialect. */
void forward_reply(struct forward *f);

/* Over: the exchange was answered. */
void forward_free(struct forward *f);

/* Is what comes a stream of events, as was asked? */
bool forward_is_stream(const struct forward *f);

/* Whole events [n], of which `seen` is what is known with them; before f->seen says so, too. forward_count.c */
void forward_count_events(struct forward *f, const struct events_seen *seen, const char *bytes,
                          size_t n);

/* Its answer, or an upstream's error, is complete, and the exchange is open yet. */
void forward_count_end(struct forward *f);

/* A try begins, and is over.  What goes along of the trace: traceparent ret [TRACE_PARENT_MAX] and tracestate
 * ret [TRACE_STATE_MAX]; "": nothing.  forward_trace.c */
void forward_trace_begin(struct forward *f);
void forward_trace_end(struct forward *f);
void forward_trace_headers(const struct forward *f, char *ret_parent, char *ret_state);

/* The callbacks of its call. forward_answer.c */
bool forward_on_head(void *arg, const struct http_answer_head *head);
bool forward_on_bytes(void *arg, const char *bytes, size_t n);
void forward_on_end(void *arg, enum http_end end, const char *why);

#endif
