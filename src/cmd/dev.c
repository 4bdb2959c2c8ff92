/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/dev.c - `pomona serve --dev`: what a node watches so that a developer need not restart it.
 *
 * What a job reads is its own (struct look); the loop takes it over, or frees it where the owner is gone.
 */
#include "cmd/dev.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/paths.h"
#include "base/size.h"
#include "config/config.h"
#include "net/job.h"

enum { LOOK_EVERY_MS = 500 };

enum watched { WATCHED_CONFIG, WATCHED_PROGRAM, WATCHED };

/* What tells one content of a path from another. */
struct sight {
    bool is_there;
    uint64_t device, inode, size;
    int64_t written_s;
};

struct look {
    struct dev *owner; /* NULL: gone */
    char paths[WATCHED][PATH_MAX_BYTES];
    struct sight begun[WATCHED], before[WATCHED], now[WATCHED]; /* as struct dev's */
    struct err failure[WATCHED]; /* of what changed and is not usable */
};

struct dev {
    struct loop *loop;
    struct loop_timer *timer;
    char paths[WATCHED][PATH_MAX_BYTES]; /* "": not watched */
    struct sight begun[WATCHED];         /* what this process was started from, or was refused */
    struct sight seen[WATCHED];          /* at the last look */
    bool is_told;
    struct look *look; /* under way */
    dev_fn *on_change;
    void *arg;
};

static struct sight sight_of(const char *path)
{
    struct stat st;

    if (!path[0] || stat(path, &st) != 0)
        return (struct sight){ 0 };
    return (struct sight){ true, (uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
                           (int64_t)st.st_mtime };
}

static bool is_same(const struct sight *a, const struct sight *b)
{
    return a->is_there == b->is_there && a->device == b->device && a->inode == b->inode &&
           a->size == b->size && a->written_s == b->written_s;
}

/* Another than the process began with, and written to its end. */
static bool has_changed(const struct look *look, size_t i)
{
    return look->now[i].is_there && !is_same(&look->now[i], &look->begun[i]) &&
           is_same(&look->now[i], &look->before[i]);
}

static void check(const char *path, enum watched which, struct err *ret_failure)
{
    struct config *config = NULL;

    if (which == WATCHED_CONFIG && config_load(path, &config, ret_failure) == ST_OK)
        config_free(config);
    else if (which == WATCHED_PROGRAM && access(path, X_OK) != 0)
        (void)err_errno(ret_failure, "'%s' cannot be run", path);
}

static void job_run(void *arg)
{
    struct look *look = arg;

    for (size_t i = 0; i < WATCHED; i++) {
        look->now[i] = sight_of(look->paths[i]);
        if (has_changed(look, i))
            check(look->paths[i], (enum watched)i, &look->failure[i]);
    }
}

static void take(struct dev *dev, const struct look *look)
{
    memcpy(dev->seen, look->now, sizeof(dev->seen));
    for (size_t i = 0; i < WATCHED && !dev->is_told; i++) {
        if (!has_changed(look, i))
            continue;
        dev->begun[i] = look->now[i];
        if (look->failure[i].words[0]) {
            log_warn("the node goes on as it is: %s", look->failure[i].words);
            continue;
        }
        dev->is_told = true;
        dev->on_change(dev->arg, look->paths[i]);
    }
}

static void job_done(void *arg)
{
    struct look *look = arg;

    if (look->owner) {
        look->owner->look = NULL;
        take(look->owner, look);
    }
    free(look);
}

static void look_again(void *arg)
{
    struct dev *dev = arg;
    struct look *look;
    struct err err;

    if (dev->look || dev->is_told)
        return;
    look = calloc(1, sizeof(*look));
    if (!look)
        return; /* at the next look there may be memory */
    look->owner = dev;
    memcpy(look->paths, dev->paths, sizeof(look->paths));
    memcpy(look->begun, dev->begun, sizeof(look->begun));
    memcpy(look->before, dev->seen, sizeof(look->before));
    if (job_start(dev->loop, job_run, job_done, free, look, &err) == ST_OK)
        dev->look = look;
    else
        free(look);
}

enum status dev_new(struct loop *loop, const char *config, const char *program, dev_fn *on_change,
                    void *arg, struct dev **ret_dev, struct err *err)
{
    struct dev *dev = calloc(1, sizeof(*dev));

    if (!dev || loop_timer_new(loop, look_again, dev, &dev->timer) != ST_OK) {
        free(dev);
        return err_set(err, ST_NOMEM, "what watches the files");
    }
    dev->loop = loop;
    dev->on_change = on_change;
    dev->arg = arg;
    (void)snprintf(dev->paths[WATCHED_CONFIG], PATH_MAX_BYTES, "%s", config ? config : "");
    (void)snprintf(dev->paths[WATCHED_PROGRAM], PATH_MAX_BYTES, "%s", program);
    for (size_t i = 0; i < WATCHED; i++)
        dev->begun[i] = dev->seen[i] = sight_of(dev->paths[i]);
    loop_timer_every(dev->timer, LOOK_EVERY_MS);
    *ret_dev = dev;
    return ST_OK;
}

void dev_free(struct dev *dev)
{
    if (!dev)
        return;
    if (dev->look)
        dev->look->owner = NULL;
    loop_timer_free(dev->timer);
    free(dev);
}
