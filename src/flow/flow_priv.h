/* SPDX-License-Identifier: Apache-2.0 */
/* flow/flow_priv.h - the inside of a flow, for the files that are its stages. */
#ifndef POMONA_FLOW_FLOW_PRIV_H
#define POMONA_FLOW_FLOW_PRIV_H

#include "aggregate/aggregate.h"
#include "aggregate/pending.h"
#include "contract/plan.h"
#include "contract/route.h"
#include "flow/clients.h"
#include "flow/count.h"
#include "flow/flow.h"
#include "flow/outage.h"
#include "flow/service_priv.h"
#include "flow/text_cache.h"
#include "flow/trace.h"
#include "gateway/dialect/answer.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tool_grammar.h"

enum {
    FLOW_PLACE_MS = 600000,   /* from the request to its instance being ready */
    FLOW_SILENCE_MS = 300000, /* without a token, queueing and prompt included */
    KEEP_ALIVE_MS = 10000,
    FLOW_LOSS_MS = 3000, /* for the cluster to see that an instance is lost */
    FLOW_LOSS_POLL_MS = 50,
};

/* What a stage came to. */
enum step {
    STEP_NEXT,
    STEP_WAIT, /* flow_wake() will come; the stage is entered again then */
    STEP_FAIL, /* flow->failure is set */
    STEP_DONE, /* answered: no later stage is needed */
};

/* One answer.  It outlives the instances that compute it: whatever another one needs to go on
 * is here, and the aggregate does not notice. */
struct choice {
    struct flow *flow;
    struct aggregate *aggregate;
    struct tokens answer;  /* as computed so far */
    struct pending scores; /* of the prompt's tokens, where they are asked for */
    bool has_echoed;       /* the prompt was given out */
    uint32_t max_tokens;   /* of it; decided once */
    uint64_t generation;   /* at the client; 0: none is open */
    uint64_t opened_ns;    /* when it was asked for there */
    uint32_t n_cached_tokens;
    bool is_finished;
    bool ends_thoughts; /* it has thought enough, and is to be told */
};

struct flow {
    struct service *service;
    struct exchange *x; /* NULL once over */
    struct api_request request;
    size_t stage;
    struct loop_timer *wake;

    struct model_info model;
    struct admission_ticket ticket; /* in the queue, until its first token */
    struct text_waiter text_waiter;
    struct text *text;
    struct encoding *encoding; /* while a job makes the prompts; NULL otherwise */
    struct tokens *prompts;    /* [request.n_prompts] */
    struct buf rendered;       /* TASK_TEMPLATE: what the template wrote */

    struct node_set *nodes; /* stage 3 to 4; NULL otherwise */
    bool is_placing;
    uint64_t place_ticket;
    struct route route;
    uint32_t context_tokens;  /* of the instance */
    enum kv_format kv_format; /* of the first instance; others would compute other tokens */
    enum activation_format activations; /* the same */
    enum transport_kind transport;      /* as it was asked for; tokens do not depend on it */
    enum sum_format sums;               /* the same */
    char draft[MODEL_NAME_MAX];
    const char *strategy; /* placement_strategy() */

    struct client_use *client;
    struct choice *choices; /* [n_choices] */
    size_t n_choices, n_running;

    struct answer *answer;
    float *vectors; /* TASK_EMBED: [n_choices][n_dims], made with the first */
    size_t n_dims;
    bool is_streaming; /* headers are sent */
    struct buf events;

    bool has_failed;
    enum setback setback; /* would another instance help? */
    struct api_error failure;
    struct outage outage;
    char lost_instance[INSTANCE_ID_MAX]; /* not to be asked again */
    uint64_t loss_until_ns;              /* for the cluster to see that, too */

    struct flow_trace trace;
    uint64_t begun_ns, last_token_ns, last_sent_ns;
    struct flow **link, *next; /* the service's list */
};

/* Run on, from the loop. */
void flow_wake(struct flow *f);

/* Note why it failed; the first reason stays. */
enum step flow_fail(struct flow *f, enum api_error_kind kind, const struct err *err);

/* The stages. */
enum step flow_prompt(struct flow *f);    /* 1 gateway */
enum step flow_balance(struct flow *f);   /* 2 */
enum step flow_select(struct flow *f);    /* 3 */
enum step flow_partition(struct flow *f); /* 4 */
enum step flow_execute(struct flow *f);   /* 5 */
enum step flow_aggregate(struct flow *f); /* 6 */

/* Make the prompts, the last part of stage 1 that may wait.  encoding.c */
enum step flow_encode(struct flow *f);

/* Answer what needs the prompt alone; the exchange is over.  prompt_reply.c */
void flow_tell_prompt(struct flow *f);

/* Undo what stages 2 to 4 did, so that they can be entered again. */
void flow_place_release(struct flow *f);

/* Leave the instance; the choices stay, and stage 5 goes on with them at another. */
void flow_execute_suspend(struct flow *f);
void flow_execute_release(struct flow *f); /* the choices too */

/* What was used so far; nothing before stage 5. */
struct reply_usage flow_usage(const struct flow *f);

/* Is each prompt shorter than context_tokens, so that there is room for an answer? */
enum step flow_check_context(struct flow *f);

/* TASK_EMBED: the vector of a choice came.  embed.c */
enum status flow_take_vector(struct choice *c, const struct token_event *event, struct err *err);
void flow_tell_vectors(struct flow *f, uint64_t n_prompt_tokens); /* the exchange is over */

/* The prompt that comes before an answer.  echo.c */
enum status flow_take_score(struct choice *c, const struct token_event *event, struct err *err);
enum status flow_echo(struct choice *c, struct err *err); /* once, before any text */

/* Send f->events. */
void flow_send_events(struct flow *f);

/* How far its prompt is.  progress.c */
bool flow_tells_progress(const struct choice *c); /* is it to be told? */
void flow_tell_progress(struct choice *c, const struct token_event *event);

/* How a choice's text is told apart.  speech.c */
void flow_speech(const struct flow *f, size_t choice, struct aggregate_options *options);
/* Is a call asked for, or to be held from its mark on?  Where its grammar then begins. */
bool flow_holds_calls(const struct flow *f, enum tool_grammar_from *ret_from);
bool flow_begins_in_thoughts(const struct flow *f, size_t choice);
bool flow_has_thought_enough(const struct flow *f, const struct aggregate *aggregate);
enum status flow_end_of_thoughts(const struct flow *f, struct tokens *ret_tokens, struct err *err);

/* The answer's first bytes; once, and before any delta. */
void flow_start_stream(struct flow *f);

/* What becomes of requests is counted.  metrics.c */
void flow_count_token(const struct choice *c); /* before it is taken */

/* Stage 6 on the way: more text of a choice. */
void flow_on_delta(void *arg, const struct reply_delta *delta);

#endif
