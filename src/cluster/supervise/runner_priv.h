/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/runner_priv.h - what the files that look after runners share. */
#ifndef POMONA_CLUSTER_SUPERVISE_RUNNER_PRIV_H
#define POMONA_CLUSTER_SUPERVISE_RUNNER_PRIV_H

#include <sys/types.h>

#include "cluster/cluster_priv.h"

struct rendezvous;

/* mpirun gives ranks a second to end, and then has its own on other hosts to end. */
enum { MPIRUN_GRACE_MS = 5000 };

struct runner {
    struct cluster *cluster;
    char instance_id[INSTANCE_ID_MAX];
    uint32_t rank;
    pid_t pid;               /* 0: reaped, or not there yet */
    struct channel *channel; /* NULL: ending, or awaited */
    uint64_t kill_at_ns;     /* while ending */
    bool is_ready;
    unsigned n_unanswered; /* beats since the last message */
    unsigned n_stuck;      /* answers since its step last got on */
    uint64_t n_felt;       /* as it last said */

    /* Of one that mpirun starts; the rest is of any. */
    struct rendezvous *awaited; /* NULL: it is there, or nobody's */
    int hold_fd;                /* its control socket once more; -1: a child of this process */
    pid_t job_pid;              /* mpirun, on rank 0's node; 0: none, or reaped */
    struct runner *next;
};

/* supervise/runner.c */
/* The instance ends with its runner. */
void runner_lost(struct runner *runner, enum status status, const char *words);
/* Its process is there: `fd`, taken, is its control socket. */
enum status runner_attach(struct runner *runner, int fd, struct err *err);

/* supervise/assign.c */
/* The path of a model of this node; NULL: it has none of that name. */
const char *assign_path_of(const struct cluster *cluster, const char *model);
/* Tell a runner what it is. */
void assign_send(struct runner *runner, const struct instance *instance, const uint8_t *digest,
                 const struct cluster_file *file);

/* supervise/mpirun.c */
/* Whether mpirun starts the runners of a plan. */
bool mpirun_starts(const struct plan *plan);
/* Wait for the runner of `runner->rank`, to be told of `digest` and `root` (NULL: as file_find()), and on
 * rank 0's node have mpirun start those of all ranks.
 * Errors  ST_UNSUPPORTED  there is no mpirun; ST_IO, ST_NOMEM */
enum status mpirun_await(struct runner *runner, const struct instance *instance,
                         const uint8_t *digest, const uint8_t *root, struct err *err);
void mpirun_await_no_more(struct runner *runner); /* nothing where it is not awaited */
/* The instance ends, and mpirun with it; after MPIRUN_GRACE_MS by force. */
void mpirun_end(struct runner *runner);
void mpirun_kill(const struct runner *runner);
/* mpirun may have ended: then an awaited runner does not come. */
void mpirun_reap(struct runner *runner);
/* A runner that is nobody's child has ended once its socket has. */
bool mpirun_has_ended(const struct runner *runner);

#endif
