/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx/judge.c - the rules of MLX's distributed backends.
 *
 * Source: MLX 0.32, docs/src/usage/distributed.rst: the ring speaks IPv4 and needs every host
 * reached by its neighbours; JACCL needs RDMA enabled, macOS 26.2, a Thunderbolt 5 cable between each two
 * hosts, and the bridge of Thunderbolt ports off.  Rings of MLX before 0.32.1 hang where a peer dies.
 */
#include "cmd/mlx/judge.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define LEAST_MLX "0.32.1"

__attribute__((format(printf, 2, 3))) static void complain(json_t *problems, const char *fmt, ...)
{
    char words[ERR_WORDS_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, args);
    va_end(args);
    (void)json_array_append_new(problems, json_string(words));
}

static bool is_v4(const char *ip)
{
    struct in_addr unused;

    return inet_pton(AF_INET, ip, &unused) == 1;
}

static void judge_ips(const struct mlx_hosts *hosts, json_t *problems)
{
    for (size_t i = 0; i < hosts->n; i++) {
        const struct mlx_host *h = &hosts->hosts[i];

        if (h->n_ips == 0 && hosts->backend != MLX_JACCL)
            complain(problems, "host '%s' has no address: add one to its 'ips'", h->name);
        if (h->n_ips == 0 && hosts->backend == MLX_JACCL && i == 0)
            complain(problems,
                     "the first host, '%s', has no address: JACCL's coordinator needs one",
                     h->name);
        if (h->n_ips != hosts->hosts[0].n_ips && hosts->backend == MLX_RING)
            complain(problems,
                     "host '%s' has %zu addresses and '%s' has %zu: each connection of a "
                     "ring needs one of both",
                     h->name, h->n_ips, hosts->hosts[0].name, hosts->hosts[0].n_ips);
        for (size_t k = 0; k < h->n_ips; k++)
            if (hosts->backend == MLX_RING && !is_v4(h->ips[k]))
                complain(problems, "'%s' of host '%s' is no IPv4 address, which MLX's ring needs",
                         h->ips[k], h->name);
    }
}

static void judge_matrix(const struct mlx_hosts *hosts, json_t *problems)
{
    if (hosts->n > MLX_JACCL_MAX)
        complain(problems, "%zu hosts: a mesh of JACCL has at most %d", hosts->n, MLX_JACCL_MAX);
    for (size_t i = 0; i < hosts->n; i++) {
        const struct mlx_host *h = &hosts->hosts[i];

        if (h->n_rdma != hosts->n) {
            complain(problems,
                     "host '%s' has %zu devices in 'rdma': one a host is needed, null "
                     "for itself",
                     h->name, h->n_rdma);
            continue;
        }
        if (h->rdma[i][0])
            complain(problems, "host '%s' has device '%s' to itself: null is meant", h->name,
                     h->rdma[i]);
        for (size_t k = 0; k < hosts->n; k++)
            if (k != i && !h->rdma[k][0])
                complain(problems, "host '%s' has no device to '%s': cable them", h->name,
                         hosts->hosts[k].name);
    }
}

static bool has_address(const struct mlx_facts *facts, const char *ip)
{
    for (size_t i = 0; i < facts->n_addresses; i++)
        if (strcmp(facts->addresses[i].address, ip) == 0)
            return true;
    return false;
}

static bool has_device(const struct mlx_facts *facts, const char *name)
{
    for (size_t i = 0; i < facts->n_devices; i++)
        if (strcmp(facts->devices[i], name) == 0)
            return true;
    return false;
}

/* Thunderbolt ports that macOS joined to a bridge carry no RDMA, and rings in a circle. */
static bool has_bridge(const struct mlx_facts *facts)
{
    for (size_t i = 0; i < facts->n_addresses; i++)
        if (strncmp(facts->addresses[i].interface, "bridge", strlen("bridge")) == 0)
            return true;
    return false;
}

static bool is_older(const char *version, const char *least)
{
    unsigned a[3] = { 0 }, b[3] = { 0 };

    (void)sscanf(version, "%5u.%5u.%5u", &a[0], &a[1], &a[2]);
    (void)sscanf(least, "%5u.%5u.%5u", &b[0], &b[1], &b[2]);
    for (size_t i = 0; i < 3; i++)
        if (a[i] != b[i])
            return a[i] < b[i];
    return false;
}

static void judge_versions(const struct mlx_hosts *hosts, size_t i, size_t first,
                           const struct mlx_answer *answers, json_t *problems)
{
    const struct mlx_facts *f = &answers[i].facts, *like = &answers[first].facts;
    const char *name = hosts->hosts[i].name, *first_name = hosts->hosts[first].name;

    if (strcmp(f->pomona, like->pomona) != 0)
        complain(problems, "host '%s' has Pomona %s and '%s' has %s: install one version on both",
                 name, f->pomona, first_name, like->pomona);
    if (hosts->backend == MLX_MPI)
        return;
    if (!f->mlx[0])
        complain(problems,
                 "host '%s' has a Pomona without MLX: install MLX %s or later there and "
                 "build again",
                 name, LEAST_MLX);
    else if (is_older(f->mlx, LEAST_MLX))
        complain(problems, "host '%s' has MLX %s: %s is the first that notices a lost peer", name,
                 f->mlx, LEAST_MLX);
    else if (like->mlx[0] && strcmp(f->mlx, like->mlx) != 0)
        complain(problems, "host '%s' has MLX %s and '%s' has %s: install one version on both",
                 name, f->mlx, first_name, like->mlx);
}

static void judge_rdma(const struct mlx_host *host, const struct mlx_facts *facts, json_t *problems)
{
    if (!facts->has_rdma)
        complain(problems,
                 "RDMA is not enabled on host '%s': 'rdma_ctl enable' in macOS' recovery "
                 "mode, 26.2 or later",
                 host->name);
    if (has_bridge(facts))
        complain(problems, "host '%s' has a Thunderbolt bridge with an address: switch it off",
                 host->name);
    for (size_t k = 0; k < host->n_rdma; k++)
        if (host->rdma[k][0] && !has_device(facts, host->rdma[k]))
            complain(problems, "host '%s' has no RDMA device '%s'", host->name, host->rdma[k]);
}

static void judge_answers(const struct mlx_hosts *hosts, const struct mlx_answer *answers,
                          json_t *problems)
{
    size_t first = hosts->n; /* that answered */

    for (size_t i = 0; i < hosts->n; i++) {
        const struct mlx_host *h = &hosts->hosts[i];

        if (!answers[i].is_there) {
            complain(problems, "host '%s' is not reached by SSH at '%s': %.300s", h->name, h->ssh,
                     answers[i].why);
            continue;
        }
        first = first == hosts->n ? i : first;
        judge_versions(hosts, i, first, answers, problems);
        for (size_t k = 0; k < h->n_ips; k++)
            if (is_v4(h->ips[k]) && !has_address(&answers[i].facts, h->ips[k]))
                complain(problems, "host '%s' has no address %s now", h->name, h->ips[k]);
        if (hosts->backend == MLX_JACCL)
            judge_rdma(h, &answers[i].facts, problems);
    }
}

void mlx_judge(const struct mlx_hosts *hosts, const struct mlx_answer *answers, json_t *problems)
{
    if (hosts->n < 2)
        complain(problems, "there is one host alone: a job needs two");
    judge_ips(hosts, problems);
    if (hosts->backend == MLX_JACCL)
        judge_matrix(hosts, problems);
    if (answers)
        judge_answers(hosts, answers, problems);
}

/* The interface of `from` whose cable ends at `to`; NULL: none does. */
static const char *cable(const struct mlx_facts *from, const struct mlx_facts *to)
{
    for (size_t i = 0; i < from->n_ports; i++)
        for (size_t k = 0; k < to->n_ports; k++)
            if (from->ports[i].peer[0] && strcmp(from->ports[i].peer, to->ports[k].id) == 0)
                return from->ports[i].interface;
    return NULL;
}

enum status mlx_find_devices(struct mlx_hosts *hosts, const struct mlx_answer *answers,
                             struct err *err)
{
    if (hosts->n > MLX_JACCL_MAX)
        return err_set(err, ST_RANGE, "%zu hosts: a mesh of JACCL has at most %d", hosts->n,
                       MLX_JACCL_MAX);
    for (size_t i = 0; i < hosts->n; i++) {
        struct mlx_host *h = &hosts->hosts[i];

        h->n_rdma = hosts->n;
        for (size_t k = 0; k < hosts->n; k++) {
            const char *interface = k == i ? NULL : cable(&answers[i].facts, &answers[k].facts);

            h->rdma[k][0] = '\0';
            if (k != i && !interface)
                return err_set(
                    err, ST_NOTFOUND,
                    "host '%s' has no Thunderbolt cable to '%s': JACCL needs one between "
                    "each two hosts",
                    h->name, hosts->hosts[k].name);
            if (interface && (size_t)snprintf(h->rdma[k], MLX_DEVICE_MAX, "rdma_%s", interface) >=
                                 MLX_DEVICE_MAX)
                return err_set(err, ST_RANGE, "the name of an interface of host '%s' is too long",
                               h->name);
        }
    }
    return ST_OK;
}
