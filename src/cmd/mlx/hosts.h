/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx/hosts.h - the hosts of an MLX job, and the files that MLX and Open MPI read them from.
 *
 *   launch   { "backend", "envs", "hosts": [ { "ssh", "ips", "rdma" } ] }: what mlx.launch is given
 *   ring     [ [ "ip:port", ... ], ... ]: MLX_HOSTFILE of each rank, one list a rank
 *   devices  [ [ null, "rdma_en2" ], [ "rdma_en2", null ] ]: MLX_IBV_DEVICES, the device of row's host that
 *            is cabled to column's
 *   mpi      "ip slots=1": a line a rank
 *
 * Source  MLX 0.32, docs/src/usage/launching_distributed.rst and distributed.rst
 */
#ifndef POMONA_CMD_MLX_HOSTS_H
#define POMONA_CMD_MLX_HOSTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/config.h"

enum {
    MLX_HOSTS_MAX = 64,
    MLX_IPS_MAX = 8,        /* of one host: connections of the ring */
    MLX_DEVICE_MAX = 32,    /* "rdma_en2" */
    MLX_JACCL_MAX = 8,      /* hosts of a mesh: each is cabled to each */
    MLX_FILE_MAX = 1 << 20, /* bytes of a file that is read */
};

enum mlx_backend { MLX_RING, MLX_JACCL, MLX_MPI, N_MLX_BACKENDS };

struct mlx_host {
    char name[CONFIG_NAME_MAX]; /* of the node; in a file that was read, as `ssh` */
    char ssh[CONFIG_HOST_MAX];
    char ips[MLX_IPS_MAX][CONFIG_HOST_MAX]; /* [n_ips] */
    size_t n_ips;
    char rdma[MLX_HOSTS_MAX][MLX_DEVICE_MAX]; /* [n_rdma], one a host; "": none */
    size_t n_rdma;
};

struct mlx_hosts {
    enum mlx_backend backend;
    struct mlx_host hosts[MLX_HOSTS_MAX]; /* [n] */
    size_t n;
};

/* "ring"; never NULL for one of the list above. */
const char *mlx_backend_name(enum mlx_backend backend);
/* Errors  ST_RANGE  there is none of that name */
enum status mlx_backend_find(const char *name, enum mlx_backend *ret, struct err *err);

/* The nodes of a configuration; addresses are those of links whose kind begins with `over`, or
 * where it is NULL the nodes' own.
 * Errors  ST_NOTFOUND  a node has no such link; ST_RANGE  too many nodes, or addresses */
enum status mlx_hosts_of(const struct config *config, enum mlx_backend backend, const char *over,
                         struct mlx_hosts *ret_hosts, struct err *err);

/* Read a launch file.
 * Errors  ST_FORMAT  it is none; ST_RANGE  a list or a text is too long */
enum status mlx_hosts_read(const json_t *file, struct mlx_hosts *ret_hosts, struct err *err);

/* Write the files; buf_status() says whether there was memory. */
void mlx_write_launch(const struct mlx_hosts *hosts, struct buf *out);
void mlx_write_ring(const struct mlx_hosts *hosts, uint16_t first_port, struct buf *out);
void mlx_write_devices(const struct mlx_hosts *hosts, struct buf *out);
void mlx_write_mpi(const struct mlx_hosts *hosts, struct buf *out);

#endif
