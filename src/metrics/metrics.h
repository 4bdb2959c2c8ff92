/* SPDX-License-Identifier: Apache-2.0 */
/* metrics/metrics.h - what is counted, and how it is shown to Prometheus.
 *
 * Every metric is a row of METRIC_MAP, or of METRIC_EACH_MAP, from which docs/metrics.md is checked.  A row of
 * METRIC_MAP has at most one label, whose values are listed there.  Rows of METRIC_EACH_MAP are of a group, of
 * things that come and go (METRIC_GROUP_MAP says by which labels they are told apart): at most METRIC_EACH_MAX
 * of each are shown, and who shows them keeps what is counted.  Nothing a client sends
 * becomes a label, so the number of series is bounded.  Some rows are shown a second time under the name
 * that vLLM gives the same thing, for autoscalers and pickers that know that name.
 *
 * Threads  any: counts are atomic, and nothing waits
 * Source   Prometheus text exposition format 0.0.4; vLLM documentation, "Production metrics"
 */
#ifndef POMONA_METRICS_METRICS_H
#define POMONA_METRICS_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* TOTAL  a counter that is kept elsewhere: what it has come to is set */
enum metric_kind { COUNTER, GAUGE, HISTOGRAM, TOTAL };

enum {
    METRIC_VALUES_MAX = 8,
    METRIC_BUCKETS_MAX = 24,
    METRIC_EACH_MAX = 256,
    METRIC_LABELS_MAX = 3
};

/* id, kind, name, name of vLLM's or NULL, label or NULL, its values, unit buckets or NULL, help */
#define METRIC_MAP(X)                                                                                \
    X(METRIC_HTTP, COUNTER, "pomona_http_requests_total", NULL, "code", "2xx|3xx|4xx|5xx", NULL,     \
      "Answers of the API by class of status.")                                                      \
    X(METRIC_FLOWS, GAUGE, "pomona_requests_open", NULL, NULL, "", NULL,                             \
      "Requests that are being answered by this node.")                                              \
    X(METRIC_FINISHED, COUNTER, "pomona_requests_finished_total", "vllm:request_success_total",      \
      "finished_reason", "stop|length|tool_calls|other", NULL,                                       \
      "Choices that came to their end, by why.")                                                     \
    X(METRIC_FAILED, COUNTER, "pomona_requests_failed_total", NULL, "reason",                        \
      "invalid|unavailable|timeout|other", NULL, "Requests that ended with an error.")               \
    X(METRIC_REJECTED, COUNTER, "pomona_requests_rejected_total", NULL, "reason",                    \
      "key|scope|requests|tokens|quota|overload|share|drain", NULL,                                  \
      "Requests that were refused before anything was computed, by what was exceeded or missing.")   \
    X(METRIC_QUEUE, GAUGE, "pomona_queue_requests", NULL, NULL, "", NULL,                            \
      "Requests at this node that wait for their first token.")                                      \
    X(METRIC_QUEUE_BATCH, GAUGE, "pomona_queue_batch_requests", NULL, NULL, "", NULL,                \
      "Of those, requests that yield to others.")                                                    \
    X(METRIC_QUEUE_TOKENS, GAUGE, "pomona_queue_prompt_tokens", NULL, NULL, "", NULL,                \
      "Tokens of their prompts.")                                                                    \
    X(METRIC_QUEUE_MAX, GAUGE, "pomona_queue_requests_limit", NULL, NULL, "", NULL,                  \
      "Requests that may wait; more are refused.")                                                   \
    X(METRIC_QUEUE_SPEED, GAUGE, "pomona_queue_tokens_per_second", NULL, NULL, "", NULL,             \
      "Tokens of prompts that leave the queue, as measured; 0 before the first.")                    \
    X(METRIC_LEFT, COUNTER, "pomona_client_disconnects_total", NULL, NULL, "", NULL,                 \
      "Clients that left before their answer was complete.")                                         \
    X(METRIC_PROMPT_TOKENS, COUNTER, "pomona_prompt_tokens_total", "vllm:prompt_tokens_total",       \
      NULL, "", NULL, "Tokens of prompts that were answered.")                                       \
    X(METRIC_ANSWER_TOKENS, COUNTER, "pomona_generation_tokens_total",                               \
      "vllm:generation_tokens_total", NULL, "", NULL, "Tokens of answers.")                          \
    X(METRIC_CACHED_TOKENS, COUNTER, "pomona_cached_tokens_total", "vllm:prefix_cache_hits_total",   \
      NULL, "", NULL, "Tokens of prompts whose keys and values were found in the cache.")            \
    X(METRIC_LOOKED_UP_TOKENS, COUNTER, "pomona_cache_looked_up_tokens_total",                       \
      "vllm:prefix_cache_queries_total", NULL, "", NULL,                                             \
      "Tokens of prompts that were looked for in the cache.")                                        \
    X(METRIC_RUNNING, GAUGE, "pomona_sequences_running", "vllm:num_requests_running", NULL, "",      \
      NULL, "Sequences that the instances known to this node compute.")                              \
    X(METRIC_WAITING, GAUGE, "pomona_sequences_waiting", "vllm:num_requests_waiting", NULL, "",      \
      NULL, "Sequences that wait at those instances.")                                               \
    X(METRIC_KV_USED, GAUGE, "pomona_kv_cache_usage_ratio", "vllm:kv_cache_usage_perc", NULL, "",    \
      NULL, "Share of the pages for keys and values that sequences hold, 0 to 1.")                   \
    X(METRIC_NODES, GAUGE, "pomona_nodes_alive", NULL, NULL, "", NULL,                               \
      "Nodes of the cluster that are alive.")                                                        \
    X(METRIC_KNOWN, GAUGE, "pomona_nodes_known", NULL, NULL, "", NULL,                               \
      "Nodes of the cluster, those that were lost with them.")                                       \
    X(METRIC_LEADS, GAUGE, "pomona_node_leads", NULL, NULL, "", NULL,                                \
      "1: this node leads the cluster.")                                                             \
    X(METRIC_WANTED, GAUGE, "pomona_models_wanted", NULL, NULL, "", NULL,                            \
      "Models that shall be placed.")                                                                \
    X(METRIC_UNPLACED, GAUGE, "pomona_models_unplaced", NULL, NULL, "", NULL,                        \
      "Of those, models without a ready instance.")                                                  \
    X(METRIC_LOST, COUNTER, "pomona_instances_lost_total", NULL, "reason",                           \
      "peer|stuck|ordered|other", NULL,                                                              \
      "Instances that this node saw end: a node, runner or link was lost, a step got stuck, it was " \
      "asked for.")                                                                                  \
    X(METRIC_EPOCH, GAUGE, "pomona_leader_epoch", NULL, NULL, "", NULL,                              \
      "Rises with each leader that is elected.")                                                     \
    X(METRIC_FAILOVERS, COUNTER, "pomona_failovers_total", NULL, "result", "resumed|failed", NULL,   \
      "Answers that lost their instance: they went on at another, or ended with an error.")          \
    X(METRIC_RUNNERS_STARTED, TOTAL, "pomona_runners_started_total", NULL, NULL, "", NULL,           \
      "Runners that this node started.")                                                             \
    X(METRIC_RUNNERS_LOST, TOTAL, "pomona_runners_lost_total", NULL, NULL, "", NULL,                 \
      "Of those, runners that failed, ended unasked or stood still.")                                \
    X(METRIC_INSTANCES, GAUGE, "pomona_instances_ready", NULL, NULL, "", NULL,                       \
      "Instances that are ready.")                                                                   \
    X(METRIC_SPANS_SENT, COUNTER, "pomona_trace_spans_sent_total", NULL, NULL, "", NULL,             \
      "Spans of traces that a collector took.")                                                      \
    X(METRIC_SPANS_LOST, COUNTER, "pomona_trace_spans_lost_total", NULL, "reason",                   \
      "full|refused|unreachable", NULL,                                                              \
      "Spans that no collector has: too many waited, it refused them, it did not answer.")           \
    X(METRIC_START, GAUGE, "process_start_time_seconds", NULL, NULL, "", NULL,                       \
      "When this process began, in seconds since 1970.")                                             \
    X(METRIC_CPU, TOTAL, "process_cpu_seconds_total", NULL, NULL, "", NULL,                          \
      "Processor time of the node's process; its runners are processes of their own.")               \
    X(METRIC_RESIDENT, GAUGE, "process_resident_memory_bytes", NULL, NULL, "", NULL,                 \
      "Memory that the node's process holds.")                                                       \
    X(METRIC_FDS, GAUGE, "process_open_fds", NULL, NULL, "", NULL, "Descriptors that are open.")     \
    X(METRIC_MAX_FDS, GAUGE, "process_max_fds", NULL, NULL, "", NULL,                                \
      "Descriptors that may be open.")                                                               \
    X(METRIC_RESUMED, HISTOGRAM, "pomona_stream_interruption_seconds", NULL, NULL, "",               \
      metric_buckets_resumed,                                                                        \
      "For how long answers stood still that lost their instance, and went on at another.")          \
    X(METRIC_FIRST_TOKEN, HISTOGRAM, "pomona_time_to_first_token_seconds",                           \
      "vllm:time_to_first_token_seconds", NULL, "", metric_buckets_first,                            \
      "From the request to the first token of an answer.")                                           \
    X(METRIC_NEXT_TOKEN, HISTOGRAM, "pomona_inter_token_seconds",                                    \
      "vllm:inter_token_latency_seconds", NULL, "", metric_buckets_next,                             \
      "Between two tokens of an answer.")                                                            \
    X(METRIC_WHOLE, HISTOGRAM, "pomona_request_duration_seconds",                                    \
      "vllm:e2e_request_latency_seconds", NULL, "", metric_buckets_whole,                            \
      "From the request to the end of its answer.")

enum metric {
#define X(id, kind, name, vllm, label, values, buckets, help) id,
    METRIC_MAP(X)
#undef X
        N_METRICS,
};

/* id, the labels of what is of this group, "|" between */
#define METRIC_GROUP_MAP(X)                                                                        \
    X(UPSTREAM, "upstream")                                                                        \
    X(PEER, "peer")                                                                                \
    X(LINK, "peer|address")                                                                        \
    X(INSTANCE, "model|id")                                                                        \
    X(RUNNER, "model|id|rank")                                                                     \
    X(ENERGY, "zone")

enum metric_group {
#define X(id, labels) METRIC_GROUP_##id,
    METRIC_GROUP_MAP(X)
#undef X
        N_METRIC_GROUPS,
};

/* id, group, kind, name, help */
#define METRIC_EACH_MAP(X)                                                                         \
    X(UPSTREAM_UP, UPSTREAM, GAUGE, "pomona_upstream_up",                                          \
      "1: it answers when asked for its health.")                                                  \
    X(UPSTREAM_EJECTED, UPSTREAM, GAUGE, "pomona_upstream_ejected",                                \
      "1: it is left out for a while, as requests failed there in a row.")                         \
    X(UPSTREAM_BREAKER, UPSTREAM, GAUGE, "pomona_upstream_breaker_state",                          \
      "Of the worst of its models: 0 asked as usual, 1 asked once to see, 2 not asked.")           \
    X(UPSTREAM_OUTSTANDING, UPSTREAM, GAUGE, "pomona_upstream_requests_outstanding",               \
      "Requests that it is answering for this node.")                                              \
    X(UPSTREAM_WAITING_TOKENS, UPSTREAM, GAUGE, "pomona_upstream_prompt_tokens_outstanding",       \
      "Tokens of prompts, about, that it has not begun to answer.")                                \
    X(UPSTREAM_SPEED, UPSTREAM, GAUGE, "pomona_upstream_prompt_tokens_per_second",                 \
      "How fast it reads prompts, as measured; 0 before that.")                                    \
    X(UPSTREAM_REQUESTS, UPSTREAM, COUNTER, "pomona_upstream_requests_total",                      \
      "Requests that it was sent, repeated ones with them.")                                       \
    X(UPSTREAM_FAILURES, UPSTREAM, COUNTER, "pomona_upstream_failures_total",                      \
      "Requests that failed there by its fault.")                                                  \
    X(UPSTREAM_RETRIES, UPSTREAM, COUNTER, "pomona_upstream_retries_total",                        \
      "Requests that it was sent because another server failed.")                                  \
    X(UPSTREAM_RESUMES, UPSTREAM, COUNTER, "pomona_upstream_resumes_total",                        \
      "Of those, streams that it went on with in the middle.")                                     \
    X(UPSTREAM_EJECTIONS, UPSTREAM, COUNTER, "pomona_upstream_ejections_total",                    \
      "Times that it was left out.")                                                               \
    X(PEER_ALIVE, PEER, GAUGE, "pomona_peer_alive", "1: this node takes it for alive.")            \
    X(PEER_CONNECTED, PEER, GAUGE, "pomona_peer_connected", "1: this node has a channel to it.")   \
    X(PEER_DATAGRAMS, PEER, GAUGE, "pomona_peer_datagrams", "1: its datagrams come through.")      \
    X(PEER_RTT, PEER, GAUGE, "pomona_peer_rtt_seconds",                                            \
      "There and back, of the last beat of the channel.")                                          \
    X(LINK_LATENCY, LINK, GAUGE, "pomona_link_latency_seconds",                                    \
      "One way, as this node measured it.")                                                        \
    X(LINK_SPEED, LINK, GAUGE, "pomona_link_bytes_per_second",                                     \
      "As this node measured it; 0: nobody answers at that address.")                              \
    X(LINK_BEST, LINK, GAUGE, "pomona_link_best", "1: of the ways to that peer, the fastest.")     \
    X(LINK_CUT, LINK, GAUGE, "pomona_link_cut", "1: an instance broke on it a short while ago.")   \
    X(INSTANCE_TOKENS, INSTANCE, COUNTER, "pomona_instance_tokens_total", "Tokens that it made.")  \
    X(INSTANCE_STEPS, INSTANCE, COUNTER, "pomona_instance_steps_total",                            \
      "Steps that its driver took.")                                                               \
    X(INSTANCE_STEP_SECONDS, INSTANCE, COUNTER, "pomona_instance_step_seconds_total",              \
      "What they took.")                                                                           \
    X(INSTANCE_WAIT_SECONDS, INSTANCE, COUNTER, "pomona_instance_wait_seconds_total",              \
      "Of that, waiting for other ranks.")                                                         \
    X(INSTANCE_PREEMPTIONS, INSTANCE, COUNTER, "pomona_instance_preemptions_total",                \
      "Sequences that gave their pages to others and waited again.")                               \
    X(INSTANCE_RUNNING, INSTANCE, GAUGE, "pomona_instance_sequences_running",                      \
      "Sequences that it computes.")                                                               \
    X(INSTANCE_WAITING, INSTANCE, GAUGE, "pomona_instance_sequences_waiting",                      \
      "Sequences that wait for it.")                                                               \
    X(INSTANCE_KV_HELD, INSTANCE, GAUGE, "pomona_instance_kv_tokens_held",                         \
      "Positions in memory whose keys and values running sequences hold.")                         \
    X(INSTANCE_KV_CACHED, INSTANCE, GAUGE, "pomona_instance_kv_tokens_cached",                     \
      "Positions in memory that nobody holds and prompts find.")                                   \
    X(INSTANCE_KV_ROOM, INSTANCE, GAUGE, "pomona_instance_kv_tokens_limit",                        \
      "Positions that there is memory for.")                                                       \
    X(INSTANCE_PREDICTED, INSTANCE, GAUGE, "pomona_instance_predicted_tokens_per_second",          \
      "Of one stream alone, as the planner predicts it of this placement from what it knows now.") \
    X(INSTANCE_ALONE_TOKENS, INSTANCE, COUNTER, "pomona_instance_alone_tokens_total",              \
      "Tokens of steps with one sequence alone, past its prompt; guessed ones with them.")         \
    X(INSTANCE_ALONE_SECONDS, INSTANCE, COUNTER, "pomona_instance_alone_seconds_total",            \
      "What those steps took: tokens by seconds is what was predicted, measured.")                 \
    X(RUNNER_STATE, RUNNER, GAUGE, "pomona_runner_state", "0 starting, 1 ready, 2 ending.")        \
    X(RUNNER_MEMORY, RUNNER, GAUGE, "pomona_runner_resident_memory_bytes",                         \
      "Memory that its process holds, mapped weights with it.")                                    \
    X(RUNNER_BEATS, RUNNER, GAUGE, "pomona_runner_beats_unanswered",                               \
      "Quarters of a second for which it has not answered; at 8 it is ended.")                     \
    X(ENERGY_JOULES, ENERGY, COUNTER, "pomona_energy_joules_total",                                \
      "What a part of the machine used since the node began, where the system tells (RAPL).")

enum metric_each {
#define X(id, group, kind, name, help) METRIC_##id,
    METRIC_EACH_MAP(X)
#undef X
        N_METRICS_EACH,
};

/* value  index among the row's label values; 0 where it has no label */
void metric_add(enum metric metric, unsigned value, uint64_t n);
void metric_set(enum metric metric, double to); /* a gauge */
void metric_observe(enum metric metric, double seconds);

/* One of a group: its labels' values and the values of that group's rows, which are NAN before; a row that
 * stays NAN is not shown.
 * ret_labels  [METRIC_LABELS_MAX] in the order of the group's labels; lent during the rendering
 * ret_values  [N_METRICS_EACH]
 * Returns     false: there are no more */
typedef bool metrics_each_fn(void *arg, size_t i, const char **ret_labels, double *ret_values);

struct metrics_source {
    metrics_each_fn *each; /* NULL: there is nobody */
    void *arg;
};

/* The whole exposition.  sources  [N_METRIC_GROUPS] */
void metrics_render(const struct metrics_source *sources, struct buf *out);

#endif
