/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/runner.c - the runners of this node.
 *
 *   started --Listening--> --Ready--> serving --EOF: instance ends--> ending --reaped--> freed
 *      ^ \-------- ShardFailed, instance ends ----------------------^
 *      awaited, where mpirun starts it (mpirun.c)
 *
 * A runner ends by losing its control socket; one that is still there after
 * RUNNER_GRACE_MS is killed.  One that leaves too many beats without an
 * answer is lost: it is stopped.  So is one that answers, but whose step does not get on from
 * beat to beat: it is stuck.  Beats are counted, not time, so a
 * machine that slept does not take its runners for dead.  What it says is reported to the
 * coordinator as long as the instance is being placed.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/supervise/runner_priv.h"
#include "cluster/supervise/spawn.h"
#include "cluster/topology/figures.h"
#include "contract/runner.pb-c.h"
#include "contract/trace_wire.h"

enum {
    WAIT_AT_END_MS = 1500,
    WAIT_STEP_MS = 2,
    BEATS_UNANSWERED_MAX = 8, /* one a tick: 2 s */
    BEATS_LOADING_MAX = 12,   /* 3 s, as a crowded machine starts programs slowly */
    BEATS_STUCK_MAX = 8,      /* steps get on many times a millisecond */
};

/* It computes for its instance, or is to come. */
static bool is_held(const struct runner *r)
{
    return r->channel || r->awaited;
}

static struct runner *runner_find(const struct cluster *cluster, const char *instance_id)
{
    for (struct runner *r = cluster->runners; r; r = r->next)
        if (is_held(r) && strcmp(r->instance_id, instance_id) == 0)
            return r;
    return NULL;
}

static void runner_free_reaped(struct cluster *cluster)
{
    for (struct runner **at = &cluster->runners; *at;) {
        struct runner *r = *at;

        if (r->pid != 0 || r->job_pid != 0 || is_held(r)) {
            at = &r->next;
            continue;
        }
        *at = r->next;
        free(r);
    }
}

static void runner_close(struct runner *r)
{
    channel_free(r->channel);
    r->channel = NULL;
    mpirun_await_no_more(r);
    mpirun_end(r);
    r->kill_at_ns = deadline_after_ms(RUNNER_GRACE_MS);
}

bool runner_is_of(const struct cluster *cluster, const char *instance_id)
{
    return runner_find(cluster, instance_id) != NULL;
}

/* Closed here, freed by runners_reap() alone: callers may be walking the list. */
void runner_end_instance(struct cluster *cluster, const char *instance_id)
{
    struct runner *r;

    while ((r = runner_find(cluster, instance_id)) != NULL)
        runner_close(r);
}

void runner_lost(struct runner *r, enum status status, const char *words)
{
    struct cluster *cluster = r->cluster;
    struct instance *in = instance_find(cluster, r->instance_id);
    const uint32_t rank = r->rank;
    struct err why;

    cluster->n_runners_lost++;
    runner_close(r);
    if (!in)
        return;
    (void)err_set(&why, status, "the runner of layers %u to %u on node '%s' %s",
                  in->view.plan.shards[rank].first_layer,
                  in->view.plan.shards[rank].first_layer + in->view.plan.shards[rank].n_layers - 1,
                  cluster->self->info.name, words);
    instance_end(cluster, in, END_EVERYWHERE, &why);
}

static void report(struct runner *r, Wire__ShardReport *report)
{
    struct cluster *cluster = r->cluster;
    const struct instance *in = instance_find(cluster, r->instance_id);
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    struct member *coordinator = in ? member_find(cluster, in->coordinator) : NULL;

    if (!coordinator || in->view.state != INSTANCE_PLACING)
        return;
    report->instance_id = r->instance_id;
    report->rank = r->rank;
    if (coordinator == cluster->self) {
        place_report(cluster, cluster->self->info.name, report);
        return;
    }
    message.body_case = WIRE__NODE_MESSAGE__BODY_REPORT;
    message.report = report;
    link_send_to(coordinator, &message);
}

static void take_load(struct runner *r, const Wire__ShardLoad *load)
{
    struct instance *in = instance_find(r->cluster, r->instance_id);

    if (!in)
        return;
    in->view.view.n_active = load->n_active;
    in->view.view.n_waiting = load->n_waiting;
    in->view.kv_tokens_used = load->kv_tokens_used;
    in->view.kv_tokens_cached = load->kv_tokens_cached;
    in->view.n_generated_tokens = load->n_generated_tokens;
    in->view.step_seconds = load->step_seconds;
    in->view.wait_seconds = load->wait_seconds;
    in->view.n_steps = load->n_steps;
    in->view.n_preempted = load->n_preempted;
    in->view.n_alone_tokens = load->n_alone_tokens;
    in->view.alone_seconds = load->alone_seconds;
    cluster_changed(r->cluster);
}

static void take_beat(struct runner *r, const Wire__ShardBeat *beat)
{
    const bool gets_on = !beat->is_in_step || beat->n_felt != r->n_felt;

    r->n_stuck = gets_on ? 0 : r->n_stuck + 1;
    r->n_felt = beat->n_felt;
    if (r->n_stuck >= BEATS_STUCK_MAX)
        runner_lost(r, ST_DEADLINE, "is stuck in a step");
}

static void take_work(const struct runner *r, const Wire__ShardWork *wire)
{
    const struct cluster *cluster = r->cluster;
    struct work_span work;

    if (cluster->events.on_work && work_of_wire(wire, &work))
        cluster->events.on_work(cluster->arg, &work);
}

/* What the runner says of a cut link is known before anybody plans anew. */
static void take_failure(struct runner *r, const Wire__ShardFailed *failed)
{
    const struct instance *in = instance_find(r->cluster, r->instance_id);
    struct member *other = NULL;
    char words[ERR_WORDS_MAX];

    if (in && failed->n_cut_hosts > 0 && failed->cut_rank < in->view.plan.n_shards)
        other = member_find(r->cluster, in->view.plan.shards[failed->cut_rank].node);
    for (size_t i = 0; other && i < failed->n_cut_hosts; i++)
        way_cut(other, failed->cut_hosts[i]);
    if (other)
        topology_changed(r->cluster);
    (void)snprintf(words, sizeof(words), "failed: %.400s", failed->words);
    runner_lost(r, status_from_code(failed->status), words);
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__RunnerMessage *message = (const Wire__RunnerMessage *)base;
    Wire__ShardReport out = WIRE__SHARD_REPORT__INIT;
    struct runner *r = arg;

    (void)channel;
    r->n_unanswered = 0;
    switch ((int)message->body_case) {
    case WIRE__RUNNER_MESSAGE__BODY_BEAT: take_beat(r, message->beat); return;
    case WIRE__RUNNER_MESSAGE__BODY_LISTENING:
        out.what_case = WIRE__SHARD_REPORT__WHAT_LISTENING;
        out.listening = message->listening;
        report(r, &out);
        return;
    case WIRE__RUNNER_MESSAGE__BODY_PROGRESS:
        out.what_case = WIRE__SHARD_REPORT__WHAT_PROGRESS;
        out.progress = message->progress;
        report(r, &out);
        return;
    case WIRE__RUNNER_MESSAGE__BODY_READY:
        out.what_case = WIRE__SHARD_REPORT__WHAT_READY;
        out.ready = message->ready;
        r->is_ready = true;
        report(r, &out);
        return;
    case WIRE__RUNNER_MESSAGE__BODY_LOAD: take_load(r, message->load); return;
    case WIRE__RUNNER_MESSAGE__BODY_WORK: take_work(r, message->work); return;
    case WIRE__RUNNER_MESSAGE__BODY_SHARD_FAILED: take_failure(r, message->shard_failed); return;
    default: runner_lost(r, ST_FORMAT, "sent a message that no runner sends");
    }
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    (void)channel;
    (void)reason;
    runner_lost(arg, ST_PEER, "ended unexpectedly");
}

static const struct channel_events runner_events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = FRAME_MAX_BYTES,
    .max_queued_bytes = QUEUE_MAX_BYTES,
    .on_message = on_message,
    .on_close = on_close,
};

/* The driver's node needs the draft model too. */
static enum status check_draft(const struct cluster *cluster, const struct plan *plan,
                               uint32_t rank, struct err *err)
{
    if (!plan->draft[0] || rank + 1 < plan->n_shards || assign_path_of(cluster, plan->draft))
        return ST_OK;
    return err_set(err, ST_NOTFOUND,
                   "node '%s' is to drive '%s' and does not hold '%s', its draft "
                   "model",
                   cluster->self->info.name, plan->model, plan->draft);
}

/* One without a process is freed when runners are reaped next. */
static struct runner *runner_new(struct cluster *cluster, const struct instance *in, uint32_t rank)
{
    struct runner *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    r->cluster = cluster;
    r->rank = rank;
    r->hold_fd = -1;
    memcpy(r->instance_id, in->view.view.id, sizeof(r->instance_id));
    r->next = cluster->runners;
    cluster->runners = r;
    cluster->n_runners_started++;
    return r;
}

size_t cluster_runners(const struct cluster *cluster, struct cluster_runner *ret_runners,
                       size_t capacity, uint64_t *ret_started, uint64_t *ret_lost)
{
    size_t n = 0;

    for (const struct runner *r = cluster->runners; r; r = r->next, n++) {
        const struct instance *in = instance_find(cluster, r->instance_id);

        if (n >= capacity)
            continue;
        ret_runners[n] = (struct cluster_runner){
            .rank = r->rank,
            .state = !is_held(r)   ? RUNNER_ENDING
                     : r->is_ready ? RUNNER_READY
                                   : RUNNER_STARTING,
            .pid = (long)r->pid,
            .n_unanswered = r->n_unanswered,
        };
        memcpy(ret_runners[n].instance_id, r->instance_id, sizeof(r->instance_id));
        if (in)
            memcpy(ret_runners[n].model, in->view.view.model, sizeof(ret_runners[n].model));
    }
    *ret_started = cluster->n_runners_started;
    *ret_lost = cluster->n_runners_lost;
    return n;
}

enum status runner_attach(struct runner *r, int fd, struct err *err)
{
    const enum status s = channel_new(r->cluster->loop, fd, &runner_events, r, &r->channel, err);

    if (s == ST_OK)
        log_with(LOG_INFO, "a runner started", log_text("instance", r->instance_id),
                 log_count("rank", r->rank), log_number("pid", (int64_t)r->pid));
    else
        r->kill_at_ns = clock_ns(); /* its socket is closed; the next tick sees to the process */
    return s;
}

enum status runner_start(struct cluster *cluster, struct instance *in, uint32_t rank,
                         const uint8_t *digest, const uint8_t *root, struct err *err)
{
    struct cluster_file file;
    struct runner *r;
    enum status s;
    int fd;

    s = file_find(cluster, in->view.view.model, digest, root, &file, err);
    if (s == ST_OK)
        s = check_draft(cluster, &in->view.plan, rank, err);
    if (s != ST_OK)
        return s;
    r = runner_new(cluster, in, rank);
    if (!r)
        return err_set(err, ST_NOMEM, "a runner of '%s'", in->view.view.model);
    measuring_stop(cluster->measuring);
    if (mpirun_starts(&in->view.plan))
        return mpirun_await(r, in, digest, root, err);
    s = spawn_runner(cluster->runner_program, &r->pid, &fd, err);
    if (s == ST_OK)
        s = runner_attach(r, fd, err);
    if (s == ST_OK)
        assign_send(r, in, digest, &file);
    return s;
}

/* Where the ranks' endpoints, as the coordinator told them, are reached from here. */
struct ways {
    Wire__Endpoint ranks[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    struct hosts hosts[PLAN_SHARDS_MAX];
    char *pointers[PLAN_SHARDS_MAX][HOSTS_MAX];
};

static void fill_ways(struct cluster *cluster, const struct instance *in, size_t n_ranks,
                      Wire__Endpoint **told, struct ways *ret_ways)
{
    for (size_t i = 0; i < n_ranks; i++) {
        const struct member *m = member_find(cluster, in->view.plan.shards[i].node);

        ret_ways->ranks[i] = *told[i];
        ret_ways->list[i] = &ret_ways->ranks[i];
        if (m)
            ways_to(cluster, m, WAY_ROWS_BYTES, &ret_ways->hosts[i]);
        if (m)
            wire_of_hosts(&ret_ways->hosts[i], ret_ways->pointers[i], &ret_ways->ranks[i]);
    }
}

void runner_connect(struct cluster *cluster, const char *instance_id, size_t n_ranks,
                    Wire__Endpoint **ranks)
{
    const struct instance *in = instance_find(cluster, instance_id);
    struct runner *r = runner_find(cluster, instance_id);
    struct ways ways;
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardConnect connect = WIRE__SHARD_CONNECT__INIT;

    if (!r || !r->channel || !in || n_ranks != in->view.plan.n_shards)
        return;
    fill_ways(cluster, in, n_ranks, ranks, &ways);
    connect.ranks = ways.list;
    connect.n_ranks = n_ranks;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_CONNECT;
    message.connect = &connect;
    channel_send(r->channel, &message.base);
}

static void log_exit(const struct runner *r, int how)
{
    if (WIFSIGNALED(how))
        log_with(LOG_WARN, "a runner was ended by a signal", log_text("instance", r->instance_id),
                 log_count("rank", r->rank), log_number("signal", WTERMSIG(how)));
    else if (WEXITSTATUS(how) != 0)
        log_with(LOG_WARN, "a runner exited", log_text("instance", r->instance_id),
                 log_count("rank", r->rank), log_number("status", WEXITSTATUS(how)));
}

/* Only our own children by number: other parts of a process may have theirs. */
void runners_reap(struct cluster *cluster)
{
    for (struct runner *r = cluster->runners; r; r = r->next) {
        int how;

        mpirun_reap(r);
        if (r->hold_fd >= 0 && mpirun_has_ended(r)) {
            close(r->hold_fd);
            r->hold_fd = -1;
            r->pid = 0;
        }
        if (r->pid == 0 || r->hold_fd >= 0 || waitpid(r->pid, &how, WNOHANG) != r->pid)
            continue;
        r->pid = 0;
        log_exit(r, how);
    }
    runner_free_reaped(cluster);
}

static void beat(struct runner *r)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardBeat body = WIRE__SHARD_BEAT__INIT;
    struct log_levels levels;
    char text[LOG_LEVELS_TEXT_MAX];

    log_levels_now(&levels);
    log_levels_text(&levels, text);
    body.log_levels = text;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_BEAT;
    message.beat = &body;
    channel_send(r->channel, &message.base);
    r->n_unanswered++;
}

static void kill_by_force(const struct runner *r, uint64_t now_ns)
{
    if (r->pid != 0 && now_ns >= r->kill_at_ns)
        (void)kill(r->pid, SIGKILL);
    if (now_ns >= r->kill_at_ns + MPIRUN_GRACE_MS * NS_PER_MS)
        mpirun_kill(r);
}

static void runner_tick(struct runner *r, uint64_t now_ns)
{
    const unsigned most = r->is_ready ? BEATS_UNANSWERED_MAX : BEATS_LOADING_MAX;

    if (r->channel && r->n_unanswered >= most)
        runner_lost(r, ST_DEADLINE, "stopped answering");
    else if (r->channel)
        beat(r);
    else if (!r->awaited)
        kill_by_force(r, now_ns);
}

bool cluster_is_stalled(const struct cluster *cluster)
{
    for (const struct runner *r = cluster->runners; r; r = r->next) {
        if (r->channel && r->is_ready &&
            (r->n_unanswered >= BEATS_UNANSWERED_MAX / 2 || r->n_stuck >= BEATS_STUCK_MAX / 2))
            return true;
    }
    return false;
}

void runners_tick(struct cluster *cluster, uint64_t now_ns)
{
    for (struct runner *r = cluster->runners; r; r = r->next)
        runner_tick(r, now_ns);
    runners_reap(cluster);
}

static void wait_step(void)
{
    const struct timespec step = { 0, WAIT_STEP_MS * 1000000L };

    (void)nanosleep(&step, NULL);
}

void runners_free(struct cluster *cluster)
{
    const uint64_t until = deadline_after_ms(WAIT_AT_END_MS);

    for (struct runner *r = cluster->runners; r; r = r->next)
        if (is_held(r))
            runner_close(r);
    for (runners_reap(cluster); cluster->runners && clock_ns() < until; runners_reap(cluster))
        wait_step();
    for (struct runner *r = cluster->runners; r; r = r->next) {
        kill_by_force(r, UINT64_MAX);
        if (r->pid != 0 && r->hold_fd < 0)
            (void)waitpid(r->pid, NULL, 0); /* a killed process ends */
        if (r->job_pid != 0)
            (void)waitpid(r->job_pid, NULL, 0);
        if (r->hold_fd >= 0)
            close(r->hold_fd);
        r->hold_fd = -1;
        r->pid = r->job_pid = 0;
    }
    runner_free_reaped(cluster);
}
