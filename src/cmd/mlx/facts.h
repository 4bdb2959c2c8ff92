/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx/facts.h - what an MLX job needs to know of one machine, as the machine itself says.
 *
 * On a Mac the Thunderbolt ports come from system_profiler and networksetup, RDMA from rdma_ctl and
 * ibv_devices; elsewhere these programs are not there, and neither are the ports.
 */
#ifndef POMONA_CMD_MLX_FACTS_H
#define POMONA_CMD_MLX_FACTS_H

#include "cmd/mlx/hosts.h"

enum { FACTS_ADDRESSES_MAX = 64, FACTS_PORTS_MAX = 16, FACTS_TEXT_MAX = 64 };

struct mlx_facts {
    char system[FACTS_TEXT_MAX], pomona[FACTS_TEXT_MAX];
    char mlx[FACTS_TEXT_MAX]; /* "": this build has none */
    struct {
        char interface[FACTS_TEXT_MAX], address[FACTS_TEXT_MAX]; /* IPv4: the ring has no other */
    } addresses[FACTS_ADDRESSES_MAX];
    size_t n_addresses;
    bool has_rdma;                                 /* it is enabled */
    char devices[FACTS_PORTS_MAX][FACTS_TEXT_MAX]; /* of RDMA: [n_devices] */
    size_t n_devices;
    struct {
        char interface[FACTS_TEXT_MAX];                /* "en2" */
        char id[FACTS_TEXT_MAX], peer[FACTS_TEXT_MAX]; /* of the cable's ends; "": nothing there */
    } ports[FACTS_PORTS_MAX];
    size_t n_ports;
};

/* Of this machine.  What cannot be found is left out. */
void mlx_facts_gather(struct mlx_facts *ret_facts);

void mlx_facts_write(const struct mlx_facts *facts, struct buf *out); /* one line of JSON */
/* Errors  ST_FORMAT */
enum status mlx_facts_read(const json_t *json, struct mlx_facts *ret_facts, struct err *err);

/* What macOS' programs print.  Whatever is not understood is left out. */
void mlx_facts_take_ports(const char *system_profiler, const char *networksetup,
                          struct mlx_facts *facts);
void mlx_facts_take_devices(const char *ibv_devices, struct mlx_facts *facts);

#endif
