/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/monitor_priv.h - what the parts of the monitor share. */
#ifndef POMONA_MONITOR_MONITOR_PRIV_H
#define POMONA_MONITOR_MONITOR_PRIV_H

#include "base/buf.h"
#include "base/paths.h"
#include "gateway/http/server.h"
#include "monitor/fetch.h"
#include "monitor/ledger.h"
#include "monitor/loss.h"
#include "monitor/monitor.h"
#include "monitor/own.h"
#include "monitor/remote.h"
#include "monitor/stall.h"

enum {
    MODELS_WATCHED_MAX = 64,
    TICK_MS = 250,
    FORGET_S = 600,
    AUTHORIZATION_MAX = 9 << 10, /* a token has 8 KiB at most */
};

/* A node of the configuration. */
struct target {
    struct monitor *monitor;
    const struct config_node *node;
    char base[CONFIG_HOST_MAX + 32]; /* "http://10.0.0.1:52415" */
    char subject[SUBJECT_MAX];
    bool asks_ready, asks_state, asks_metrics; /* under way */
    bool is_up;                                /* its last answer came */
    bool is_draining;
    bool is_refused; /* it wants a key: said once */
    char version[64];
    struct remote_state state; /* as it told last; all zeros: nothing */
    struct loss loss;
};

/* A model that is asked something small now and then. */
struct canary {
    struct monitor *monitor;
    char model[REMOTE_NAME_MAX], subject[SUBJECT_MAX];
    uint64_t open_ns; /* when the one under way was sent; 0: there is none */
    uint64_t next_ns;
    bool is_senseless; /* the model does not complete texts */
    bool is_there;     /* an instance is ready, as a node says */
    struct canary_memory memory;
    uint64_t signature;
    size_t n_kinds, n_instances;
    char instance[64]; /* the only one; "" where there are several */
    uint64_t replaced_ns[REPLACE_MAX];
};

struct recorder;
struct callbacks;
struct chores;

struct monitor {
    struct loop *loop;
    const struct config *cluster;
    char name[CONFIG_NAME_MAX], data[PATH_MAX_BYTES], history_path[PATH_MAX_BYTES];
    char settings_path[PATH_MAX_BYTES];
    const char *log_levels; /* that hold over those of the settings; NULL: none.  Lent */
    char authorization[AUTHORIZATION_MAX]; /* header; "": none */
    struct health_monitor *settings;
    struct ledger *ledger;
    struct fetcher *fetcher;
    struct http_server *server;
    struct loop_timer *timer;
    struct recorder *recorder;
    struct callbacks *callbacks;
    struct chores *chores;
    struct target *targets; /* [n_targets] */
    size_t n_targets;
    struct canary canaries[MODELS_WATCHED_MAX]; /* [n_canaries] */
    size_t n_canaries;
    struct stall stall;
    char drained[CONFIG_NAME_MAX];   /* the node that the monitor drained last; "": none */
    uint64_t drained_for_ns;         /* when the finding that it was drained for became critical */
    bool was_drained;                /* it was seen to drain since */
    char undrained[CONFIG_NAME_MAX]; /* one that is not drained as another is: said once */
    uint64_t next_poll_ns, next_act_ns, begun_ns;
    uint64_t n_changes;
    unsigned n_jobs; /* under way */
};

/* poll.c: ask every node, and observe what they say. */
enum status poll_new(struct monitor *monitor, struct err *err);
void poll_free(struct monitor *monitor);
void poll_tick(struct monitor *monitor, uint64_t now_ns);
/* A node to ask something: the monitor's own where it is up, else the first that is; NULL: none is. */
struct target *poll_someone(struct monitor *monitor);

/* observe.c: what a node's state means. */
void observe_state(struct monitor *monitor, struct target *target, uint64_t now_ns);
void observe_metrics(struct monitor *monitor, const char *text, uint64_t now_ns);
void observe_cluster(struct monitor *monitor, uint64_t now_ns); /* what all together mean */

/* canary.c */
void canary_tick(struct monitor *monitor, uint64_t now_ns);
struct canary *canary_of(struct monitor *monitor,
                         const char *model); /* made where new; NULL: too many */
uint64_t canary_open_ns(const struct monitor *monitor, const char *model);

/* chores.c: what would block the loop. */
enum status chores_new(struct monitor *monitor, struct err *err);
void chores_free(struct chores *chores);
void chores_tick(struct chores *chores, uint64_t now_ns);

/* recorder.c: the history. */
enum status recorder_new(struct monitor *monitor, struct err *err);
void recorder_free(struct recorder *recorder);
void recorder_tick(struct recorder *recorder, uint64_t now_ns);
void recorder_note(struct recorder *recorder, const struct ledger_change *change);

/* callbacks.c: who is told. */
enum status callbacks_new(struct monitor *monitor, struct err *err);
void callbacks_free(struct callbacks *callbacks);
void callbacks_tick(struct callbacks *callbacks, uint64_t now_ns);
void callbacks_note(struct callbacks *callbacks, const struct ledger_change *change);
void callbacks_counts(const struct callbacks *callbacks, uint64_t *ret_sent, uint64_t *ret_failed);

/* act.c: what is done about a critical finding. */
void act_on(struct monitor *monitor, const struct ledger_change *change);
void act_tick(struct monitor *monitor, uint64_t now_ns);

/* show.c: the monitor's own port. */
enum status show_listen(struct monitor *monitor, const char *host, uint16_t port, struct err *err);

/* Start a job of the monitor's; `done` ends with monitor_job_done(). */
enum status monitor_job(struct monitor *monitor, loop_fn *run, loop_fn *done, void *arg);
void monitor_job_done(struct monitor *monitor);

/* A request to a node, with the key. */
enum status monitor_ask(struct monitor *monitor, const struct target *target, const char *path,
                        const char *body, double deadline_s, fetch_fn *fn, void *arg);

#endif
