/* SPDX-License-Identifier: Apache-2.0 */
/* config/config.c - read cluster_nodes.json against a schema (config/yaml.h). */
#include "config/config.h"

#include <string.h>

#include "base/file.h"
#include "config/config_priv.h"
#include "config/yaml.h"

static const cyaml_schema_field_t link_fields[] = {
    CYAML_FIELD_STRING("kind", CYAML_FLAG_DEFAULT, struct config_link, kind, 1),
    CYAML_FIELD_FLOAT("gbps", CYAML_FLAG_OPTIONAL, struct config_link, gbps),
    CYAML_FIELD_FLOAT("latency_us", CYAML_FLAG_OPTIONAL, struct config_link, latency_us),
    CYAML_FIELD_STRING("address", CYAML_FLAG_OPTIONAL, struct config_link, address, 1),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t link_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_link, link_fields),
};

static const cyaml_schema_field_t node_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct config_node, name, 1),
    CYAML_FIELD_STRING("host", CYAML_FLAG_DEFAULT, struct config_node, host, 1),
    CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct config_node, port),
    CYAML_FIELD_UINT("api_port", CYAML_FLAG_OPTIONAL, struct config_node, api_port),
    CYAML_FIELD_FLOAT("memory_gb", CYAML_FLAG_OPTIONAL, struct config_node, memory_gb),
    CYAML_FIELD_UINT("threads", CYAML_FLAG_OPTIONAL, struct config_node, threads),
    CYAML_FIELD_STRING("chip", CYAML_FLAG_OPTIONAL, struct config_node, chip, 1),
    CYAML_FIELD_FLOAT("ram_gb", CYAML_FLAG_OPTIONAL, struct config_node, ram_gb),
    CYAML_FIELD_UINT("gpu_cores", CYAML_FLAG_OPTIONAL, struct config_node, gpu_cores),
    CYAML_FIELD_FLOAT("memory_bandwidth_gbs", CYAML_FLAG_OPTIONAL, struct config_node,
                      memory_bandwidth_gbs),
    CYAML_FIELD_FLOAT("compute_gops", CYAML_FLAG_OPTIONAL, struct config_node, compute_gops),
    CYAML_FIELD_FLOAT("disk_gbs", CYAML_FLAG_OPTIONAL, struct config_node, disk_gbs),
    CYAML_FIELD_FLOAT("watts", CYAML_FLAG_OPTIONAL, struct config_node, watts),
    CYAML_FIELD_SEQUENCE("links", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct config_node,
                         links, &link_value, 0, CONFIG_LINKS_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t node_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_node, node_fields),
};

static const cyaml_strval_t discovery_ways[] = {
    { "none", CONFIG_DISCOVER_NONE },
    { "beacon", CONFIG_DISCOVER_BEACON },
    { "mdns", CONFIG_DISCOVER_MDNS },
    { "seeds", CONFIG_DISCOVER_SEEDS },
};

static const cyaml_schema_field_t cluster_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct config, cluster.name, 1),
    CYAML_FIELD_STRING("key_file", CYAML_FLAG_OPTIONAL, struct config, cluster.key_file, 1),
    CYAML_FIELD_STRING("hub", CYAML_FLAG_OPTIONAL, struct config, cluster.hub, 1),
    CYAML_FIELD_FLAGS("discovery", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct config,
                      cluster.discovery, discovery_ways, CYAML_ARRAY_LEN(discovery_ways)),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t root_fields[] = {
    CYAML_FIELD_MAPPING("cluster", CYAML_FLAG_DEFAULT, struct config, cluster, cluster_fields),
    CYAML_FIELD_SEQUENCE("nodes", CYAML_FLAG_POINTER, struct config, nodes, &node_value, 1,
                         CONFIG_NODES_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t root_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config, root_fields),
};

static enum status config_parse(const struct buf *content, const char *path,
                                struct config **ret_config, struct err *err)
{
    void *data = NULL;
    const enum status s = yaml_read(content, path, &root_value, &data, err);

    if (s != ST_OK)
        return s;
    if (!data)
        return err_set(err, ST_FORMAT, "%s: the file is empty; it needs 'cluster' and 'nodes'",
                       path);
    *ret_config = data;
    return ST_OK;
}

enum status config_load(const char *path, struct config **ret_config, struct err *err)
{
    struct config *config = NULL;
    struct buf content = { 0 };
    enum status s;

    s = file_read(path, YAML_FILE_MAX_BYTES, &content, err);
    if (s == ST_OK)
        s = config_parse(&content, path, &config, err);
    if (s != ST_OK)
        goto out;

    config_complete(config);
    s = config_check(config, err);
    if (s != ST_OK) {
        err_wrap(err, "%s", path);
        goto out;
    }
    *ret_config = config;
    config = NULL;

out:
    buf_release(&content);
    config_free(config);
    return s;
}

void config_free(struct config *config)
{
    yaml_release(&root_value, config);
}

enum status config_find_node(const struct config *config, const char *name,
                             const struct config_node **ret_node, struct err *err)
{
    struct buf names = { 0 };
    enum status s;

    for (unsigned i = 0; i < config->nodes_count; i++) {
        if (strcmp(config->nodes[i].name, name) == 0) {
            *ret_node = &config->nodes[i];
            return ST_OK;
        }
    }
    for (unsigned i = 0; i < config->nodes_count; i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", config->nodes[i].name);
    s = err_set(err, ST_NOTFOUND, "no node '%s' in cluster '%s'; its nodes are %s", name,
                config->cluster.name, buf_text(&names));
    buf_release(&names);
    return s;
}
