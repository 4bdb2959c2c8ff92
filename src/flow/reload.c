/* SPDX-License-Identifier: Apache-2.0 */
/* flow/reload.c - the gateway's settings, read again when their file changes.
 *
 * The file is looked at once a second, which works on every system and file system, and
 * where an editor or a container replaces it.  What the job reads is its own (struct
 * job); the loop takes it over, or frees it where the owner is gone.
 */
#include "flow/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/paths.h"
#include "net/job.h"

enum { LOOK_EVERY_MS = 1000 };

/* Which content was read last. */
struct stamp {
    struct timespec changed;
    off_t n_bytes;
    ino_t inode;
};

struct job {
    struct reload *owner; /* NULL: gone */
    char path[PATH_MAX_BYTES];
    struct stamp before, now;
    bool is_forced;
    struct api_gateway *settings; /* NULL: none were read */
    struct err failure;
    enum status status;
};

struct reload {
    struct loop *loop;
    char path[PATH_MAX_BYTES];
    struct api_gateway *settings;
    struct stamp stamp;
    struct job *job; /* under way; NULL otherwise */
    bool is_asked;   /* once more, after the job */
    struct loop_timer *timer;
    loop_fn *on_change;
    void *on_change_arg;
};

static struct stamp stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return (struct stamp){ 0 };
#if defined(__APPLE__)
    return (struct stamp){ st.st_mtimespec, st.st_size, st.st_ino };
#else
    return (struct stamp){ st.st_mtim, st.st_size, st.st_ino };
#endif
}

static bool is_same(const struct stamp *a, const struct stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->n_bytes == b->n_bytes && a->inode == b->inode;
}

static void job_run(void *arg)
{
    struct job *job = arg;

    job->now = stamp_of(job->path);
    if (job->is_forced || !is_same(&job->before, &job->now))
        job->status = api_gateway_load(job->path, &job->settings, &job->failure);
}

static void take(struct reload *r, struct job *job)
{
    r->stamp = job->now;
    if (job->status != ST_OK)
        log_warn("the gateway's settings stay as they were: %s", job->failure.words);
    if (!job->settings)
        return;
    api_gateway_unref(r->settings);
    r->settings = job->settings;
    job->settings = NULL;
    log_info("the gateway's settings are those of %s", r->path);
    if (r->on_change)
        r->on_change(r->on_change_arg);
}

static void job_done(void *arg)
{
    struct job *job = arg;
    struct reload *r = job->owner;

    if (r) {
        r->job = NULL;
        take(r, job);
    }
    api_gateway_unref(job->settings);
    free(job);
    if (r && r->is_asked)
        reload_now(r);
}

static void look(struct reload *r, bool is_forced)
{
    struct job *job;
    struct err err;

    if (r->job || !r->path[0])
        return;
    job = calloc(1, sizeof(*job));
    if (!job)
        return; /* in a second there may be memory */
    job->owner = r;
    job->before = r->stamp;
    job->is_forced = is_forced;
    memcpy(job->path, r->path, sizeof(job->path));
    if (job_start(r->loop, job_run, job_done, job, &err) == ST_OK)
        r->job = job;
    else
        free(job);
}

static void on_timer(void *arg)
{
    look(arg, false);
}

enum status reload_new(struct loop *loop, const char *path, struct reload **ret_reload,
                       struct err *err)
{
    struct reload *r = calloc(1, sizeof(*r));
    enum status s = ST_OK;

    if (!r || loop_timer_new(loop, on_timer, r, &r->timer) != ST_OK) {
        free(r);
        return err_set(err, ST_NOMEM, "the gateway's settings");
    }
    r->loop = loop;
    (void)snprintf(r->path, sizeof(r->path), "%s", path ? path : "");
    r->stamp = stamp_of(r->path);
    s = r->path[0] ? api_gateway_load(r->path, &r->settings, err)
                   : api_gateway_default(&r->settings, err);
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
    return reload->settings;
}

void reload_on_change(struct reload *reload, loop_fn *fn, void *arg)
{
    reload->on_change = fn;
    reload->on_change_arg = arg;
}

void reload_now(struct reload *reload)
{
    reload->is_asked = reload->job != NULL;
    look(reload, true);
}

void reload_free(struct reload *reload)
{
    if (!reload)
        return;
    if (reload->job)
        reload->job->owner = NULL;
    loop_timer_free(reload->timer);
    api_gateway_unref(reload->settings);
    free(reload);
}
