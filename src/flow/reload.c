/* SPDX-License-Identifier: Apache-2.0 */
/* flow/reload.c - the gateway's settings and keys, read again when their files change.
 *
 * The files are looked at once a second, which works on every system and file system, and
 * where an editor or a container replaces them.  What the job reads is its own (struct
 * job); the loop takes it over, or frees it where the owner is gone.
 */
#include "flow/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/paths.h"
#include "net/job.h"

enum { LOOK_EVERY_MS = 1000 };

struct job {
    struct reload *owner; /* NULL: gone */
    char path[PATH_MAX_BYTES], keys_path[PATH_MAX_BYTES];
    struct access_files *before, *now; /* now is NULL where nothing changed */
    bool is_forced;
    struct err failure;
};

struct reload {
    struct loop *loop;
    char path[PATH_MAX_BYTES], keys_path[PATH_MAX_BYTES];
    struct access_files *files;
    struct job *job; /* under way; NULL otherwise */
    bool is_asked;   /* once more, after the job */
    char complaint[ERR_WORDS_MAX];
    struct loop_timer *timer;
    loop_fn *on_change, *on_done; /* on_done is of reload_now() */
    void *on_change_arg, *on_done_arg;
};

static void job_run(void *arg)
{
    struct job *job = arg;

    (void)access_files_reload(job->path, job->keys_path, job->before, job->is_forced, &job->now,
                              &job->failure);
}

/* The same mistake is not told every second. */
static void complain(struct reload *r, const struct job *job)
{
    if (job->failure.words[0] && (job->is_forced || strcmp(r->complaint, job->failure.words) != 0))
        log_warn("the gateway's settings stay as they were: %s", job->failure.words);
    if (job->failure.words[0] || job->now)
        memcpy(r->complaint, job->failure.words, sizeof(r->complaint));
}

static void take(struct reload *r, struct job *job)
{
    complain(r, job);
    if (!job->now)
        return;
    access_files_unref(r->files);
    r->files = access_files_ref(job->now);
    if (!job->failure.words[0])
        log_info("the gateway's settings and keys were read again");
    if (r->on_change)
        r->on_change(r->on_change_arg);
}

/* Whoever asked for it is told once. */
static void tell_done(struct reload *r)
{
    loop_fn *fn = r->on_done;

    r->on_done = NULL;
    if (fn)
        fn(r->on_done_arg);
}

static void job_free(void *arg)
{
    struct job *job = arg;

    access_files_unref(job->before);
    access_files_unref(job->now);
    free(job);
}

static void job_done(void *arg)
{
    struct job *job = arg;
    struct reload *r = job->owner;

    if (r) {
        r->job = NULL;
        take(r, job);
    }
    job_free(job);
    if (r && r->is_asked)
        reload_now(r, r->on_done, r->on_done_arg);
    else if (r)
        tell_done(r);
}

static void look(struct reload *r, bool is_forced)
{
    struct job *job;
    struct err err;

    if (r->job)
        return;
    job = calloc(1, sizeof(*job));
    if (!job)
        return; /* in a second there may be memory */
    job->owner = r;
    job->before = access_files_ref(r->files);
    job->is_forced = is_forced;
    memcpy(job->path, r->path, sizeof(job->path));
    memcpy(job->keys_path, r->keys_path, sizeof(job->keys_path));
    if (job_start(r->loop, job_run, job_done, job_free, job, &err) == ST_OK) {
        r->job = job;
        return;
    }
    job_free(job);
}

static void on_timer(void *arg)
{
    look(arg, false);
}

enum status reload_new(struct loop *loop, const char *path, const char *keys_path,
                       struct reload **ret_reload, struct err *err)
{
    struct reload *r = calloc(1, sizeof(*r));
    enum status s;

    if (!r || loop_timer_new(loop, on_timer, r, &r->timer) != ST_OK) {
        free(r);
        return err_set(err, ST_NOMEM, "the gateway's settings");
    }
    r->loop = loop;
    (void)snprintf(r->path, sizeof(r->path), "%s", path ? path : "");
    (void)snprintf(r->keys_path, sizeof(r->keys_path), "%s", keys_path);
    s = access_files_load(r->path, r->keys_path, &r->files, err);
    if (s != ST_OK) {
        reload_free(r);
        return s;
    }
    loop_timer_every(r->timer, LOOK_EVERY_MS);
    *ret_reload = r;
    return ST_OK;
}

struct api_gateway *reload_settings(const struct reload *reload)
{
    return reload->files->settings;
}

struct access_files *reload_files(const struct reload *reload)
{
    return reload->files;
}

void reload_on_change(struct reload *reload, loop_fn *fn, void *arg)
{
    reload->on_change = fn;
    reload->on_change_arg = arg;
}

void reload_now(struct reload *reload, loop_fn *done, void *arg)
{
    reload->on_done = done;
    reload->on_done_arg = arg;
    reload->is_asked = reload->job != NULL;
    look(reload, true);
    if (!reload->job) /* no memory for a job */
        tell_done(reload);
}

void reload_free(struct reload *reload)
{
    if (!reload)
        return;
    if (reload->job)
        reload->job->owner = NULL;
    loop_timer_free(reload->timer);
    access_files_unref(reload->files);
    free(reload);
}
