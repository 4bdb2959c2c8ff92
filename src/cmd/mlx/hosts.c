/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx/hosts.c - host files of MLX and Open MPI, read and written. */
#include "cmd/mlx/hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"

static const char *const names[N_MLX_BACKENDS] = {
    [MLX_RING] = "ring",
    [MLX_JACCL] = "jaccl",
    [MLX_MPI] = "mpi",
};

const char *mlx_backend_name(enum mlx_backend backend)
{
    return names[backend];
}

enum status mlx_backend_find(const char *name, enum mlx_backend *ret, struct err *err)
{
    for (unsigned i = 0; i < N_MLX_BACKENDS; i++)
        if (strcmp(name, names[i]) == 0) {
            *ret = (enum mlx_backend)i;
            return ST_OK;
        }
    return err_set(err, ST_RANGE, "no backend '%.32s'; there are: ring, jaccl, mpi", name);
}

static bool copy(char *to, size_t capacity, const char *text)
{
    const size_t n = strlen(text);

    if (n >= capacity)
        return false;
    memcpy(to, text, n + 1);
    return true;
}

static enum status add_ip(struct mlx_host *host, const char *ip, struct err *err)
{
    if (host->n_ips == MLX_IPS_MAX || !copy(host->ips[host->n_ips], CONFIG_HOST_MAX, ip))
        return err_set(err, ST_RANGE, "host '%s' has more than %d addresses, or one too long",
                       host->name, MLX_IPS_MAX);
    host->n_ips++;
    return ST_OK;
}

static enum status take_node(const struct config_node *node, const char *over,
                             struct mlx_host *host, struct err *err)
{
    enum status s = ST_OK;

    (void)copy(host->name, sizeof(host->name), node->name);
    (void)copy(host->ssh, sizeof(host->ssh), node->host);
    if (!over)
        return add_ip(host, node->host, err);
    for (unsigned i = 0; s == ST_OK && i < node->links_count; i++)
        if (strncmp(node->links[i].kind, over, strlen(over)) == 0 && node->links[i].address[0])
            s = add_ip(host, node->links[i].address, err);
    if (s == ST_OK && host->n_ips == 0)
        s = err_set(err, ST_NOTFOUND,
                    "node '%s' has no link of kind '%.32s' with an address in the configuration",
                    node->name, over);
    return s;
}

enum status mlx_hosts_of(const struct config *config, enum mlx_backend backend, const char *over,
                         struct mlx_hosts *ret_hosts, struct err *err)
{
    enum status s = ST_OK;

    *ret_hosts = (struct mlx_hosts){ .backend = backend };
    if (config->nodes_count > MLX_HOSTS_MAX)
        return err_set(err, ST_RANGE, "%u nodes; MLX jobs of at most %d are written",
                       config->nodes_count, MLX_HOSTS_MAX);
    for (unsigned i = 0; s == ST_OK && i < config->nodes_count; i++)
        s = take_node(&config->nodes[i], over, &ret_hosts->hosts[ret_hosts->n++], err);
    return s;
}

static enum status read_ips(const json_t *list, struct mlx_host *host, struct err *err)
{
    enum status s = ST_OK;
    const json_t *ip;
    size_t i;

    json_array_foreach(list, i, ip)
    {
        if (s == ST_OK)
            s = json_is_string(ip)
                    ? add_ip(host, json_string_value(ip), err)
                    : err_set(err, ST_FORMAT, "'ips' of host '%s' is not text", host->name);
    }
    return s;
}

/* A device may be several between two hosts; the first is looked at. */
static enum status read_rdma(const json_t *list, struct mlx_host *host, struct err *err)
{
    const json_t *device;
    size_t i;

    json_array_foreach(list, i, device)
    {
        const json_t *first = json_is_array(device) ? json_array_get(device, 0) : device;
        const char *name = json_is_null(first) ? "" : json_string_value(first);

        if (!name)
            return err_set(err, ST_FORMAT, "'rdma' of host '%s' is neither text nor null",
                           host->name);
        if (host->n_rdma == MLX_HOSTS_MAX ||
            !copy(host->rdma[host->n_rdma++], MLX_DEVICE_MAX, name))
            return err_set(err, ST_RANGE, "'rdma' of host '%s' is too long", host->name);
    }
    return ST_OK;
}

static enum status read_host(const json_t *entry, struct mlx_host *host, struct err *err)
{
    const char *ssh = json_string_value(json_object_get(entry, "ssh"));
    const json_t *ips = json_object_get(entry, "ips"), *rdma = json_object_get(entry, "rdma");
    enum status s = ST_OK;

    if (!ssh || !*ssh)
        return err_set(err, ST_FORMAT, "a host without 'ssh', the name that SSH knows it by");
    if (!copy(host->ssh, sizeof(host->ssh), ssh))
        return err_set(err, ST_RANGE, "the name of a host, '%.32s...', is too long", ssh);
    (void)snprintf(host->name, sizeof(host->name), "%.*s", (int)sizeof(host->name) - 1, ssh);
    if ((ips && !json_is_array(ips)) || (rdma && !json_is_array(rdma)))
        return err_set(err, ST_FORMAT, "'ips' or 'rdma' of host '%s' is not a list", host->name);
    s = read_ips(ips, host, err);
    return s == ST_OK ? read_rdma(rdma, host, err) : s;
}

enum status mlx_hosts_read(const json_t *file, struct mlx_hosts *ret_hosts, struct err *err)
{
    const json_t *list = json_is_array(file) ? file : json_object_get(file, "hosts"), *entry;
    const char *backend = json_string_value(json_object_get(file, "backend"));
    enum status s = ST_OK;
    size_t i;

    *ret_hosts = (struct mlx_hosts){ .backend = MLX_RING };
    if (!json_is_array(list) || json_array_size(list) == 0)
        return err_set(err, ST_FORMAT, "this is no launch file: it has no list of 'hosts'");
    if (json_array_size(list) > MLX_HOSTS_MAX)
        return err_set(err, ST_RANGE, "more than %d hosts", MLX_HOSTS_MAX);
    if (backend && *backend)
        s = mlx_backend_find(backend, &ret_hosts->backend, err);
    json_array_foreach(list, i, entry)
    {
        if (s == ST_OK)
            s = read_host(entry, &ret_hosts->hosts[ret_hosts->n++], err);
    }
    return s;
}

static void write_json(json_t *json, struct buf *out)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

    if (text)
        buf_printf(out, "%s\n", text);
    else
        out->failed = true;
    free(text);
    json_decref(json);
}

static json_t *devices_of(const struct mlx_host *host)
{
    json_t *list = json_array();

    for (size_t i = 0; i < host->n_rdma; i++)
        (void)json_array_append_new(list,
                                    host->rdma[i][0] ? json_string(host->rdma[i]) : json_null());
    return list;
}

void mlx_write_launch(const struct mlx_hosts *hosts, struct buf *out)
{
    json_t *list = json_array();

    for (size_t i = 0; i < hosts->n; i++) {
        const struct mlx_host *h = &hosts->hosts[i];
        json_t *ips = json_array();

        for (size_t k = 0; k < h->n_ips; k++)
            (void)json_array_append_new(ips, json_string(h->ips[k]));
        (void)json_array_append_new(
            list, json_pack("{s:s,s:o,s:o}", "ssh", h->ssh, "ips", ips, "rdma", devices_of(h)));
    }
    write_json(json_pack("{s:s,s:[],s:o}", "backend", mlx_backend_name(hosts->backend), "envs",
                         "hosts", list),
               out);
}

/* Ranks that share an address, on one machine, need ports of their own. */
void mlx_write_ring(const struct mlx_hosts *hosts, uint16_t first_port, struct buf *out)
{
    json_t *all = json_array();

    for (size_t i = 0; i < hosts->n; i++) {
        json_t *list = json_array();

        for (size_t k = 0; k < hosts->hosts[i].n_ips; k++)
            (void)json_array_append_new(list,
                                        json_sprintf("%s:%u", hosts->hosts[i].ips[k],
                                                     first_port + (unsigned)(i * MLX_IPS_MAX + k)));
        (void)json_array_append_new(all, list);
    }
    write_json(all, out);
}

void mlx_write_devices(const struct mlx_hosts *hosts, struct buf *out)
{
    json_t *all = json_array();

    for (size_t i = 0; i < hosts->n; i++)
        (void)json_array_append_new(all, devices_of(&hosts->hosts[i]));
    write_json(all, out);
}

void mlx_write_mpi(const struct mlx_hosts *hosts, struct buf *out)
{
    for (size_t i = 0; i < hosts->n; i++)
        buf_printf(out, "%s slots=1\n", hosts->hosts[i].ips[0]);
}
