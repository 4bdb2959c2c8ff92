/* SPDX-License-Identifier: Apache-2.0 */
/* config/check.c - what a schema cannot say: names, addresses, sensible numbers.
 *
 * Each check is one function and one row of node_checks[].
 */
#include "config/config_priv.h"

#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/size.h"

/* Far beyond any machine, near enough that bytes fit 64 bits. */
static const double MEMORY_MAX_GB = 1048576.0;
static const double RATE_MAX = 1e9;

void config_complete(struct config *config)
{
    for (unsigned i = 0; i < config->nodes_count; i++) {
        struct config_node *node = &config->nodes[i];

        if (node->port == 0)
            node->port = CONFIG_CONTROL_PORT;
        if (node->api_port == 0)
            node->api_port = CONFIG_API_PORT;
        if (strcmp(node->host, "localhost") == 0)
            memcpy(node->host, "127.0.0.1", sizeof("127.0.0.1"));
    }
}

static bool is_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    /* a leading dot would make a hidden folder, or the parent, of a data folder */
    return name[0] != '.' && name[0] != '\0' && name[strspn(name, allowed)] == '\0';
}

static bool is_address(const char *host)
{
    struct in6_addr bytes;

    return inet_pton(AF_INET, host, &bytes) == 1 || inet_pton(AF_INET6, host, &bytes) == 1;
}

static bool is_within(double value, double most)
{
    return isfinite(value) && value >= 0 && value <= most;
}

static enum status check_name(const struct config_node *node, struct err *err)
{
    if (is_name(node->name))
        return ST_OK;
    return err_set(err, ST_RANGE,
                   "node name '%s': use letters, digits, '.', '_' and '-', not '.' first",
                   node->name);
}

static enum status check_host(const struct config_node *node, struct err *err)
{
    if (is_address(node->host))
        return ST_OK;
    return err_set(err, ST_RANGE,
                   "node '%s': host '%s' is not a numeric IPv4 or IPv6 address or \"localhost\"",
                   node->name, node->host);
}

static enum status check_ports(const struct config_node *node, struct err *err)
{
    if (node->port != node->api_port)
        return ST_OK;
    return err_set(err, ST_RANGE, "node '%s': port and api_port are both %u; they must differ",
                   node->name, node->port);
}

static enum status check_numbers(const struct config_node *node, struct err *err)
{
    const struct {
        const char *name;
        double value, most;
    } rows[] = {
        { "memory_gb", node->memory_gb, MEMORY_MAX_GB },
        { "ram_gb", node->ram_gb, MEMORY_MAX_GB },
        { "memory_bandwidth_gbs", node->memory_bandwidth_gbs, RATE_MAX },
        { "compute_gops", node->compute_gops, RATE_MAX },
        { "disk_gbs", node->disk_gbs, RATE_MAX },
        { "watts", node->watts, RATE_MAX },
        { "gpu_cores", node->gpu_cores, RATE_MAX },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!is_within(rows[i].value, rows[i].most))
            return err_set(err, ST_RANGE, "node '%s': %s must be between 0 and %.0f", node->name,
                           rows[i].name, rows[i].most);
    if (node->threads > CONFIG_THREADS_MAX)
        return err_set(err, ST_RANGE, "node '%s': threads is %u, at most %d are allowed",
                       node->name, node->threads, CONFIG_THREADS_MAX);
    return ST_OK;
}

static enum status check_links(const struct config_node *node, struct err *err)
{
    for (unsigned i = 0; i < node->links_count; i++) {
        const struct config_link *l = &node->links[i];

        if (!is_within(l->gbps, RATE_MAX))
            return err_set(err, ST_RANGE, "node '%s', link '%s': gbps must be between 0 and %.0f",
                           node->name, l->kind, RATE_MAX);
        if (!is_within(l->latency_us, RATE_MAX))
            return err_set(err, ST_RANGE,
                           "node '%s', link '%s': latency_us must be between 0 and %.0f",
                           node->name, l->kind, RATE_MAX);
        if (l->address[0] != '\0' && !is_address(l->address))
            return err_set(err, ST_RANGE, "node '%s', link '%s': '%s' is not a numeric address",
                           node->name, l->kind, l->address);
    }
    return ST_OK;
}

static enum status (*const node_checks[])(const struct config_node *, struct err *) = {
    check_name, check_host, check_ports, check_numbers, check_links,
};

static enum status check_pair(const struct config_node *a, const struct config_node *b,
                              struct err *err)
{
    if (strcmp(a->name, b->name) == 0)
        return err_set(err, ST_RANGE, "two nodes are called '%s'; names must be unique", a->name);
    if (strcmp(a->host, b->host) != 0)
        return ST_OK;
    if (a->port == b->port || a->port == b->api_port || a->api_port == b->port ||
        a->api_port == b->api_port)
        return err_set(err, ST_RANGE,
                       "nodes '%s' and '%s' share host %s and a port; give each its own", a->name,
                       b->name, a->host);
    return ST_OK;
}

static bool is_hub(const char *url)
{
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

enum status config_check(const struct config *config, struct err *err)
{
    enum status s = ST_OK;

    if (config->cluster.hub[0] && !is_hub(config->cluster.hub))
        return err_set(err, ST_RANGE, "hub '%s': it begins with https:// or http://",
                       config->cluster.hub);
    if (!is_name(config->cluster.name))
        return err_set(err, ST_RANGE, "cluster name '%s': use letters, digits, '.', '_' and '-'",
                       config->cluster.name);
    for (unsigned i = 0; i < config->nodes_count && s == ST_OK; i++) {
        for (size_t k = 0; k < ARRAY_LEN(node_checks) && s == ST_OK; k++)
            s = node_checks[k](&config->nodes[i], err);
        for (unsigned k = 0; k < i && s == ST_OK; k++)
            s = check_pair(&config->nodes[k], &config->nodes[i], err);
    }
    return s;
}
