/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/callbacks.c - who is told of a change: commands, webhooks, Alertmanager.
 *
 *   noted --each callback--> sending --taken--> done
 *                               ^  \---- failed ----> waits 1, 2, 4, 8 s ----> given up, counted
 *                               +--------------------------/
 *
 * A command is run without a shell, with the notice on its standard input; it is killed when its time is over.
 * What waits is bounded: where a receiver is gone for long, new notices are counted and dropped, and Alertmanager
 * is told of all that is wrong once a minute anyway.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "monitor/monitor_priv.h"
#include "monitor/notice.h"

enum {
    WAITING_MAX = 256,
    TRIES_MAX = 5,
    AGAIN_S = 60, /* Alertmanager is told again */
    KEEP_S = 240, /* and forgets what it was not told of for so long */
    WAIT_STEP_MS = 20,
};

extern char **environ;

/* One notice to one receiver. */
struct letter {
    struct callbacks *callbacks;
    struct health_callback to; /* a copy without its lists; words of a command are in `command` */
    char *body;
    char **command; /* NULL-terminated */
    unsigned n_tries;
    uint64_t next_ns;
    bool is_under_way, is_over;
    double deadline_s;
    struct err failure;
    struct letter *next;
};

struct callbacks {
    struct monitor *monitor;
    struct letter *letters;
    size_t n_letters;
    uint64_t n_sent, n_failed, again_ns;
};

enum status callbacks_new(struct monitor *m, struct err *err)
{
    m->callbacks = calloc(1, sizeof(*m->callbacks));
    if (!m->callbacks)
        return err_set(err, ST_NOMEM, "the callbacks");
    m->callbacks->monitor = m;
    return ST_OK;
}

static void letter_free(struct letter *l)
{
    if (!l)
        return;
    for (size_t i = 0; l->command && l->command[i]; i++)
        free(l->command[i]);
    free(l->command);
    free(l->body);
    free(l);
}

void callbacks_free(struct callbacks *c)
{
    while (c && c->letters) {
        struct letter *l = c->letters;

        c->letters = l->next;
        letter_free(l);
    }
    free(c);
}

void callbacks_counts(const struct callbacks *c, uint64_t *ret_sent, uint64_t *ret_failed)
{
    *ret_sent = c->n_sent;
    *ret_failed = c->n_failed;
}

static bool copy_command(struct letter *l, const struct health_callback *to)
{
    l->command = calloc(to->command_count + 1, sizeof(*l->command));
    for (unsigned i = 0; l->command && i < to->command_count; i++) {
        l->command[i] = strdup(to->command[i]);
        if (!l->command[i])
            return false;
    }
    return l->command != NULL;
}

/* body  taken; NULL: there was no memory for it */
static void add(struct callbacks *c, const struct health_callback *to, char *body)
{
    struct letter *l = body && c->n_letters < WAITING_MAX ? calloc(1, sizeof(*l)) : NULL;

    if (!l) {
        c->n_failed++;
        free(body);
        return;
    }
    l->callbacks = c;
    l->to = *to;
    l->body = body;
    l->deadline_s = c->monitor->settings->deadline.callback;
    if (to->kind == HEALTH_COMMAND && !copy_command(l, to)) {
        c->n_failed++;
        letter_free(l);
        return;
    }
    l->next = c->letters;
    c->letters = l;
    c->n_letters++;
}

static struct notice notice_of(const struct monitor *m, const struct ledger_entry *entry,
                               enum finding_state from)
{
    const struct check *check = ledger_check(m->ledger, entry->check);
    const uint64_t ago_ns = clock_ns() - entry->finding.since_ns;
    struct notice n = {
        .check = check->name,
        .about = check->words,
        .group = check_group_word(check->group),
        .from = from,
        .to = entry->finding.state,
        .value = entry->finding.value,
        .warning = check->warning,
        .critical = check->critical,
        .unix_s = clock_unix_s() - (int64_t)(ago_ns / NS_PER_S),
    };

    memcpy(n.cluster, m->cluster->cluster.name, sizeof(n.cluster));
    memcpy(n.monitor, m->name, sizeof(n.monitor));
    memcpy(n.subject, entry->subject, sizeof(n.subject));
    memcpy(n.words, entry->words, sizeof(n.words));
    return n;
}

static bool is_worth_telling(const struct ledger_change *change)
{
    return change->from >= FINDING_WARNING || change->entry->finding.state >= FINDING_WARNING;
}

void callbacks_note(struct callbacks *c, const struct ledger_change *change)
{
    const struct notice notice = notice_of(c->monitor, change->entry, change->from);

    if (!is_worth_telling(change))
        return;
    for (unsigned i = 0; i < c->monitor->settings->callbacks_count; i++) {
        const struct health_callback *to = &c->monitor->settings->callbacks[i];

        add(c, to,
            to->kind == HEALTH_ALERTMANAGER ? notice_alerts(&notice, 1, clock_unix_s(), KEEP_S)
                                            : notice_json(&notice));
    }
}

/* All that is wrong now. */
static void tell_again(struct callbacks *c)
{
    size_t n, n_notices = 0;
    const struct ledger_entry *entries = ledger_entries(c->monitor->ledger, &n);
    struct notice *notices = calloc(n + 1, sizeof(*notices));

    for (size_t i = 0; notices && i < n; i++)
        if (entries[i].finding.state >= FINDING_WARNING)
            notices[n_notices++] = notice_of(c->monitor, &entries[i], entries[i].finding.state);
    for (unsigned i = 0; n_notices > 0 && i < c->monitor->settings->callbacks_count; i++)
        if (c->monitor->settings->callbacks[i].kind == HEALTH_ALERTMANAGER)
            add(c, &c->monitor->settings->callbacks[i],
                notice_alerts(notices, n_notices, clock_unix_s(), KEEP_S));
    free(notices);
}

static void settle(struct letter *l, bool is_taken, const char *why)
{
    struct callbacks *c = l->callbacks;

    l->is_under_way = false;
    l->n_tries++;
    l->is_over = is_taken || l->n_tries == TRIES_MAX;
    l->next_ns = clock_ns() + (NS_PER_S << (l->n_tries - 1));
    c->n_sent += is_taken;
    if (is_taken || !l->is_over)
        return;
    c->n_failed++;
    log_warn("'%s' was not told of a change: %s", l->command ? l->command[0] : l->to.url, why);
}

static void on_answer(void *arg, const struct fetch_answer *answer)
{
    char why[64];

    (void)snprintf(why, sizeof(why), "it answers %d", answer->status);
    settle(arg, answer->status >= 200 && answer->status < 300, answer->status ? why : answer->why);
}

static void post(struct letter *l)
{
    struct monitor *m = l->callbacks->monitor;
    const int64_t now_s = clock_unix_s();
    char signature[NOTICE_SIGNATURE_MAX], signed_header[128], time_header[64];
    char url[HEALTH_URL_MAX + 16];
    struct fetch fetch = { .url = url, .body = l->body, .deadline_s = l->deadline_s };
    struct err err = { 0 };

    (void)snprintf(url, sizeof(url), "%s%s", l->to.url,
                   l->to.kind == HEALTH_ALERTMANAGER ? "/api/v2/alerts" : "");
    if (l->to.secret[0]) {
        if (!notice_sign(l->to.secret, now_s, l->body, signature)) {
            settle(l, false, "out of memory");
            return;
        }
        (void)snprintf(time_header, sizeof(time_header), "X-Pomona-Timestamp: %lld",
                       (long long)now_s);
        (void)snprintf(signed_header, sizeof(signed_header), "X-Pomona-Signature: sha256=%s",
                       signature);
        fetch.headers[fetch.n_headers++] = time_header;
        fetch.headers[fetch.n_headers++] = signed_header;
    }
    l->is_under_way = true;
    if (fetch_start(m->fetcher, &fetch, on_answer, l, &err) != ST_OK)
        settle(l, false, err.words);
}

/* Until it ended, or the deadline; then it is killed.  True: with status 0. */
static bool await_child(pid_t pid, uint64_t until_ns)
{
    const struct timespec pause = { 0, WAIT_STEP_MS * 1000000L };
    int status = 0;

    for (;;) {
        const pid_t ended = waitpid(pid, &status, WNOHANG);

        if (ended == pid)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (ended < 0 && errno != EINTR)
            return false;
        if (clock_ns() > until_ns)
            (void)kill(pid, SIGKILL);
        (void)nanosleep(&pause, NULL);
    }
}

static int spawn(const struct letter *l, int input, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int failed = posix_spawn_file_actions_init(&actions);

    if (failed)
        return failed;
    failed = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (!failed)
        failed = posix_spawn(ret_pid, l->command[0], &actions, NULL, l->command, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* On the job's thread.  The notice goes through a file without a name: a program that does not read it makes
 * nobody wait. */
static void run_command(void *arg)
{
    struct letter *l = arg;
    FILE *input = tmpfile();
    pid_t pid;
    int failed;

    if (!input || file_write_all(fileno(input), l->body, strlen(l->body)) != ST_OK ||
        lseek(fileno(input), 0, SEEK_SET) != 0) {
        (void)err_errno(&l->failure, "its input could not be written");
    } else if ((failed = spawn(l, fileno(input), &pid)) != 0) {
        errno = failed;
        (void)err_errno(&l->failure, "it could not be started");
    } else if (!await_child(pid, clock_ns() + (uint64_t)(l->deadline_s * (double)NS_PER_S))) {
        (void)err_set(&l->failure, ST_IO, "it failed, or took too long");
    }
    if (input)
        (void)fclose(input);
}

static void command_done(void *arg)
{
    struct letter *l = arg;

    monitor_job_done(l->callbacks->monitor);
    settle(l, l->failure.status == ST_OK, l->failure.words);
}

static void send_letter(struct letter *l)
{
    if (l->to.kind != HEALTH_COMMAND) {
        post(l);
        return;
    }
    l->failure = (struct err){ 0 };
    l->is_under_way = true;
    if (monitor_job(l->callbacks->monitor, run_command, command_done, l) != ST_OK)
        settle(l, false, "no thread is to be had");
}

void callbacks_tick(struct callbacks *c, uint64_t now_ns)
{
    for (struct letter **at = &c->letters; *at;) {
        struct letter *l = *at;

        if (l->is_over) {
            *at = l->next;
            c->n_letters--;
            letter_free(l);
            continue;
        }
        if (!l->is_under_way && now_ns >= l->next_ns)
            send_letter(l);
        at = &l->next;
    }
    if (now_ns < c->again_ns)
        return;
    c->again_ns = now_ns + AGAIN_S * NS_PER_S;
    tell_again(c);
}
