/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/mpirun.c - runners that mpirun starts, one on each node of an instance.
 *
 *   every node     listens at run_path(INSTANCE.RANK)       the runner comes --> runner_attach()
 *   rank 0's node  writes INSTANCE.hosts, starts mpirun     mpirun ends before --> the instance ends
 *
 * mpirun reaches the nodes' hosts by SSH, as this user and with this user's keys; what differs from
 * ssh's defaults is in ~/.ssh/config.  The program has the same path everywhere.  Each runner then
 * connects to its own node, which looks after it like after one of its children: by its control
 * socket and its beats.  Where a rank ends mpirun ends the others; that is the second fence, as
 * nodes tell one another sooner.
 *
 * Source: mpirun(1) of Open MPI 4.1
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/run_folder.h"
#include "cluster/supervise/runner_priv.h"
#include "cluster/supervise/spawn.h"

enum { NAME_MAX_BYTES = INSTANCE_ID_MAX + 16 };

struct rendezvous {
    struct runner *runner;
    struct event *readable;
    int fd;
    uint8_t digest[MODEL_DIGEST_BYTES], root[MODEL_ROOT_BYTES];
    bool has_root;
};

bool mpirun_starts(const struct plan *plan)
{
    return plan->transport == TRANSPORT_MPI && plan->n_shards > 1;
}

static void name_of(const struct runner *r, char ret_name[NAME_MAX_BYTES])
{
    (void)snprintf(ret_name, NAME_MAX_BYTES, "%s.%u", r->instance_id, r->rank);
}

static void hosts_path(const struct runner *r, char *ret_path)
{
    char name[NAME_MAX_BYTES];

    (void)snprintf(name, sizeof(name), "%s.hosts", r->instance_id);
    if (run_path(name, ret_path, NULL) != ST_OK)
        ret_path[0] = '\0';
}

void mpirun_await_no_more(struct runner *r)
{
    struct rendezvous *v = r->awaited;
    char name[NAME_MAX_BYTES], path[PATH_MAX_BYTES];

    if (!v)
        return;
    r->awaited = NULL;
    name_of(r, name);
    if (run_path(name, path, NULL) == ST_OK)
        (void)unlink(path);
    if (v->readable)
        event_free(v->readable);
    if (v->fd >= 0)
        close(v->fd);
    free(v);
}

/* The runner is there; `v` is not any more once it is attached. */
static enum status take(struct runner *r, const struct rendezvous *v, int fd, struct err *err)
{
    const struct instance *in = instance_find(r->cluster, r->instance_id);
    struct cluster_file file;
    enum status s;

    if (!in) {
        close(fd);
        return err_set(err, ST_NOTFOUND, "the instance is gone");
    }
    s = file_find(r->cluster, in->view.view.model, v->digest, v->has_root ? v->root : NULL, &file,
                  err);
    r->pid = run_peer(fd);
    r->hold_fd = s == ST_OK ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (s == ST_OK && r->hold_fd < 0)
        s = err_errno(err, "keep a runner's socket");
    if (s != ST_OK) {
        close(fd);
        return s;
    }
    s = runner_attach(r, fd, err);
    if (s == ST_OK)
        assign_send(r, in, v->digest, &file);
    return s;
}

static void on_readable(evutil_socket_t listener, short what, void *arg)
{
    struct runner *r = arg;
    const int fd = accept(listener, NULL, NULL);
    char words[ERR_WORDS_MAX];
    struct err err;

    (void)what;
    if (fd < 0)
        return;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    if (take(r, r->awaited, fd, &err) == ST_OK) {
        mpirun_await_no_more(r);
        return;
    }
    (void)snprintf(words, sizeof(words), "could not be taken: %.400s", err.words);
    runner_lost(r, err.status, words);
}

static enum status await(struct runner *r, const uint8_t *digest, const uint8_t *root,
                         struct err *err)
{
    struct rendezvous *v = calloc(1, sizeof(*v));
    char name[NAME_MAX_BYTES];
    enum status s;

    if (!v)
        return err_set(err, ST_NOMEM, "await a runner");
    v->runner = r;
    v->fd = -1;
    memcpy(v->digest, digest, sizeof(v->digest));
    v->has_root = root != NULL;
    if (root)
        memcpy(v->root, root, sizeof(v->root));
    r->awaited = v;
    name_of(r, name);
    s = run_listen(name, &v->fd, err);
    if (s != ST_OK)
        return s;
    v->readable =
        event_new(loop_base(r->cluster->loop), v->fd, EV_READ | EV_PERSIST, on_readable, r);
    if (!v->readable || event_add(v->readable, NULL) != 0)
        return err_set(err, ST_NOMEM, "await a runner");
    return ST_OK;
}

/* A line for each rank, in their order: mpirun numbers ranks by it, but for its own host, which
 * it takes first; so it is rank 0's. */
static enum status write_hosts(const struct runner *r, const struct plan *plan, const char *path,
                               struct err *err)
{
    struct buf text = { 0 };
    enum status s;

    for (size_t i = 0; i < plan->n_shards; i++) {
        const struct member *m = member_look_up(r->cluster, plan->shards[i].node);

        buf_printf(&text, "%s slots=1\n", m ? m->info.host : plan->shards[i].node);
    }
    s = buf_status(&text);
    if (s == ST_OK)
        s = file_replace(path, buf_text(&text), text.len, err);
    buf_release(&text);
    return s;
}

static enum status start(struct runner *r, const struct plan *plan, struct err *err)
{
    char hosts[PATH_MAX_BYTES], n_ranks[16];
    /* Threads are the engine's to bind.  One node may reach all others where they do not
     * reach one another: no tree.  What mpirun says of a rank that ended is said by nodes. */
    const char *const argv[] = { "mpirun",
                                 "--bind-to",
                                 "none",
                                 "--map-by",
                                 "slot",
                                 "--mca",
                                 "plm_rsh_no_tree_spawn",
                                 "1",
                                 "--hostfile",
                                 hosts,
                                 "-np",
                                 n_ranks,
                                 r->cluster->runner_program,
                                 "runner",
                                 "--instance",
                                 r->instance_id,
                                 NULL };
    enum status s;
    int fd;

    hosts_path(r, hosts);
    (void)snprintf(n_ranks, sizeof(n_ranks), "%zu", plan->n_shards);
    s = write_hosts(r, plan, hosts, err);
    if (s == ST_OK)
        s = spawn_child("mpirun", (char *const *)argv, &r->job_pid, &fd, err);
    if (s != ST_OK)
        return s;
    close(fd); /* it says nothing */
    log_info(
        "mpirun starts the runners of instance %.8s over SSH, process %ld; rows between them go "
        "in clear",
        r->instance_id, (long)r->job_pid);
    return ST_OK;
}

enum status mpirun_await(struct runner *r, const struct instance *in, const uint8_t *digest,
                         const uint8_t *root, struct err *err)
{
    enum status s = await(r, digest, root, err);

    if (s == ST_OK && r->rank == 0)
        s = start(r, &in->view.plan, err);
    if (s != ST_OK)
        mpirun_await_no_more(r);
    return s;
}

/* It ends by itself once a rank has; told twice, it was seen to crash. */
void mpirun_end(struct runner *r)
{
    if (r->hold_fd >= 0)
        (void)shutdown(r->hold_fd, SHUT_WR); /* the end of the channel alone is not seen */
    if (r->job_pid != 0 && r->pid == 0)
        (void)kill(r->job_pid, SIGTERM);
}

void mpirun_kill(const struct runner *r)
{
    if (r->job_pid != 0)
        (void)kill(r->job_pid, SIGKILL);
}

void mpirun_reap(struct runner *r)
{
    char path[PATH_MAX_BYTES];
    int how;

    if (r->job_pid == 0 || waitpid(r->job_pid, &how, WNOHANG) != r->job_pid)
        return;
    r->job_pid = 0;
    hosts_path(r, path);
    (void)unlink(path);
    if (r->awaited)
        runner_lost(r, ST_PEER,
                    "did not come: mpirun ended; what it said is in this node's log, and 'ssh HOST "
                    "true' has to work from here for each host");
}

bool mpirun_has_ended(const struct runner *r)
{
    char unread[256];
    ssize_t n = 1;

    if (r->channel)
        return false; /* which reads */
    while (n > 0)
        n = recv(r->hold_fd, unread, sizeof(unread), MSG_DONTWAIT);
    return n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}
