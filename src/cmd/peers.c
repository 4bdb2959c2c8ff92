/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/peers.c - options of `serve` that say how this node and its peers find each other. */
#include "cmd/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/size.h"

static const struct {
    const char *name;
    unsigned way;
} ways[] = {
    { "beacon", DISCOVER_BEACON },
    { "mdns", DISCOVER_MDNS },
    { "seeds", DISCOVER_SEEDS },
    { "none", 0 },
};

enum status peers_address(const char *text, char *ret_host, uint16_t *ret_port, struct err *err)
{
    const char *colon = strrchr(text, ':');
    const char *host = text;
    unsigned long port;
    size_t n;
    char *end;

    if (!colon || colon[1] < '0' || colon[1] > '9')
        return err_set(err, ST_RANGE, "'%.100s' is not ADDRESS:PORT", text);
    port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port > UINT16_MAX)
        return err_set(err, ST_RANGE, "'%.100s' does not end in a port", text);
    n = (size_t)(colon - text);
    if (n >= 2 && text[0] == '[' && colon[-1] == ']') {
        host++;
        n -= 2;
    }
    if (n >= HOST_MAX)
        return err_set(err, ST_RANGE, "'%.100s' is too long for an address", text);
    if (n == 0) {
        host = "127.0.0.1";
        n = strlen(host);
    }
    memcpy(ret_host, host, n);
    ret_host[n] = '\0';
    *ret_port = (uint16_t)port;
    return ST_OK;
}

/* The next item of a list, copied into ret_item [capacity]; NULL: it was the last. */
static const char *next_item(const char *list, char *ret_item, size_t capacity)
{
    const size_t n = strcspn(list, ","), kept = size_min(n, capacity - 1);

    memcpy(ret_item, list, kept);
    ret_item[kept] = '\0';
    return list[n] == ',' ? list + n + 1 : NULL;
}

enum status peers_join(const char *list, struct node_settings *settings, struct err *err)
{
    char item[HOST_MAX + 16];

    while (list) {
        struct cluster_seed *seed = &settings->seeds[settings->n_seeds];
        struct address unused;
        enum status s;

        if (settings->n_seeds == SEEDS_MAX)
            return err_set(err, ST_RANGE, "more than %d addresses to join", SEEDS_MAX);
        list = next_item(list, item, sizeof(item));
        s = peers_address(item, seed->host, &seed->port, err);
        if (s == ST_OK)
            s = address_parse(seed->host, seed->port, &unused, err);
        if (s == ST_OK && seed->port == 0)
            s = err_set(err, ST_RANGE, "'%s' has no port", item);
        if (s != ST_OK)
            return s;
        settings->n_seeds++;
    }
    return ST_OK;
}

enum status peers_ways(const char *list, unsigned *ret_ways, struct err *err)
{
    unsigned mask = list ? 0 : DISCOVER_ALL;
    char item[32];

    while (list) {
        size_t i = 0;

        list = next_item(list, item, sizeof(item));
        while (i < ARRAY_LEN(ways) && strcmp(ways[i].name, item) != 0)
            i++;
        if (i == ARRAY_LEN(ways))
            return err_set(err, ST_RANGE,
                           "there is no discovery '%s'; there are beacon, mdns, seeds "
                           "and none",
                           item);
        mask |= ways[i].way;
    }
    *ret_ways = mask;
    return ST_OK;
}

enum status peers_key_path(const struct app *app, char *ret_path, struct err *err)
{
    char data[PATH_MAX_BYTES];
    enum status s = app_data_dir(app, data, err);

    return s == ST_OK ? path_join(data, "cluster.key", ret_path, err) : s;
}

enum status peers_key(const struct app *app, const char *given, const char *configured,
                      struct node_settings *settings, struct err *err)
{
    const char *environment = getenv("POMONA_CLUSTER_KEY");
    char usual[PATH_MAX_BYTES];
    const char *path = given;
    enum status s;

    if (!path && environment && environment[0])
        path = environment;
    if (!path && configured[0])
        path = configured;
    if (path)
        s = cluster_key_load(path, &settings->key, err);
    else {
        s = peers_key_path(app, usual, err);
        if (s == ST_OK)
            s = cluster_key_load(usual, &settings->key, err);
        if (s == ST_NOTFOUND)
            return ST_OK;
    }
    settings->has_key = s == ST_OK;
    return s;
}
