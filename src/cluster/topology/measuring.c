/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/measuring.c - measure this machine once, when it has nothing to do.
 *
 *   unknown --kept figures--> known
 *      |  ^ \__ nothing is placed here for QUIET_MS --> measuring --ended well--> known
 *      |  '------- a model is placed here: killed, failed: later ---/
 *
 *   known --others used the machine meanwhile: measured again, at last once in AGAIN_MAX_MS--> measuring
 *
 * A process of its own (`pomona measure --background`) does it: it yields the processor, its memory
 * is gone when it is, and it can be ended at once when a runner starts.  Figures are kept in a file
 * that nodes of this machine share.  Those of a disturbed measure are better than none, and give way to less
 * disturbed ones.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "cluster/cluster_priv.h"
#include "cluster/supervise/spawn.h"
#include "cluster/topology/speed_file.h"

enum {
    QUIET_MS = 3000,  /* after the start, and after the last model left */
    AGAIN_MS = 60000, /* after a failure, when another node may make the figures; after a disturbed
                       * measure, then twice as long */
    AGAIN_MAX_MS = 3600 * 1000,
    LONGEST_MS = 120 * 1000, /* a machine that takes longer is busy with something else */
    ARGUMENTS_MAX = 12,
};

struct measuring {
    char file[PATH_MAX_BYTES];
    bool is_known, is_quiet;
    uint64_t again_ms; /* after the next disturbed measure */
    pid_t pid;         /* 0: none */
    int fd;            /* its socket; nothing is said on it */
    uint64_t due_ns;   /* kept figures are looked for */
    uint64_t again_ns; /* and where there are none, made, not before this */
    uint64_t until_ns;
};

static bool take_kept(struct cluster *cluster, struct err *err)
{
    struct measuring *m = cluster->measuring;
    struct node_measure measure;

    if (speed_file_read(m->file, &measure, err) != ST_OK)
        return false;
    m->is_known = true;
    m->is_quiet = node_measure_is_quiet(&measure);
    cluster->self->info.speed = measure.node;
    cluster->self->topology.machine.speed = measure.machine;
    topology_changed(cluster);
    return true;
}

enum status measuring_start(struct cluster *cluster, const char *file, struct err *err)
{
    struct measuring *m = calloc(1, sizeof(*m));
    struct err why = { 0 };

    if (!m)
        return err_set(err, ST_NOMEM, "the measure of this machine");
    m->fd = -1;
    m->again_ms = AGAIN_MS;
    (void)snprintf(m->file, sizeof(m->file), "%s", file);
    m->due_ns = deadline_after_ms(QUIET_MS);
    cluster->measuring = m;
    cluster->self->topology.machine.id = machine_id();
    if (!take_kept(cluster, &why) && why.status != ST_NOTFOUND)
        log_warn("this machine will be measured again: %s", why.words);
    return ST_OK;
}

static bool holds_something(const struct cluster *cluster)
{
    for (const struct instance *in = cluster->instances; in; in = in->next)
        if (instance_rank_of(in, cluster->self->info.name) >= 0)
            return true;
    return false;
}

static void begin(struct cluster *cluster)
{
    char measure[] = "measure", background[] = "--background", file[] = "--file";
    char threads[] = "--threads", kernels[] = "--kernels", n_threads[16];
    struct measuring *m = cluster->measuring;
    char *argv[ARGUMENTS_MAX] = { cluster->runner_program, measure, background, file, m->file };
    size_t n = 5;
    struct err why;

    if (cluster->n_threads > 0) {
        (void)snprintf(n_threads, sizeof(n_threads), "%u", cluster->n_threads);
        argv[n++] = threads;
        argv[n++] = n_threads;
    }
    if (cluster->kernels) {
        argv[n++] = kernels;
        argv[n++] = cluster->kernels;
    }
    m->until_ns = deadline_after_ms(LONGEST_MS);
    if (spawn_child(cluster->runner_program, argv, &m->pid, &m->fd, &why) == ST_OK)
        return;
    log_warn("this machine cannot be measured: %s", why.words);
    m->pid = 0;
    m->again_ns = deadline_after_ms(AGAIN_MS);
}

/* It ended: by itself, or because it was killed. */
static void reap(struct cluster *cluster, int how)
{
    struct measuring *m = cluster->measuring;
    struct err why = { 0 };

    m->pid = 0;
    close(m->fd);
    m->fd = -1;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0 && take_kept(cluster, &why)) {
        log_info("this machine reads %.1f GB/s of weights and computes %.0f GOPS%s",
                 cluster->self->info.speed.memory_gbs, cluster->self->info.speed.compute_gops,
                 m->is_quiet ? "" : "; others used it meanwhile, it will be measured again");
        m->due_ns = m->again_ns = deadline_after_ms(m->again_ms);
        m->again_ms = m->again_ms < AGAIN_MAX_MS / 2 ? 2 * m->again_ms : AGAIN_MAX_MS;
        return;
    }
    m->due_ns = deadline_after_ms(QUIET_MS);
    m->again_ns = WIFSIGNALED(how) ? 0 : deadline_after_ms(AGAIN_MS);
    log_debug("this machine was not measured: %s", why.words);
}

void measuring_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct measuring *m = cluster->measuring;
    int how;

    if (!m || (m->is_known && m->is_quiet && m->pid == 0))
        return;
    if (m->pid != 0) {
        if (waitpid(m->pid, &how, WNOHANG) == m->pid)
            reap(cluster, how);
        else if (now_ns > m->until_ns)
            (void)kill(m->pid, SIGKILL);
    } else if (holds_something(cluster)) {
        if (m->due_ns < now_ns + QUIET_MS * NS_PER_MS)
            m->due_ns = now_ns + QUIET_MS * NS_PER_MS;
    } else if (now_ns >= m->due_ns && !(take_kept(cluster, NULL) && m->is_quiet)) {
        m->due_ns = now_ns + QUIET_MS * NS_PER_MS;
        if (now_ns >= m->again_ns)
            begin(cluster);
    }
}

void measuring_stop(struct measuring *m)
{
    if (m && m->pid != 0)
        (void)kill(m->pid, SIGKILL); /* the next tick reaps it */
}

void measuring_free(struct measuring *m)
{
    if (!m)
        return;
    measuring_stop(m);
    if (m->pid != 0)
        (void)waitpid(m->pid, NULL, 0); /* a killed process ends */
    if (m->fd >= 0)
        close(m->fd);
    free(m);
}
