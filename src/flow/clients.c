/* SPDX-License-Identifier: Apache-2.0 */
/* flow/clients.c - one connection to each instance in use. */
#include "flow/clients.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct client_use {
    char instance_id[INSTANCE_ID_MAX];
    struct client *client;
    unsigned n_users;
    bool is_gone; /* the instance, or the connection */
    struct client_use *next;
};

struct clients {
    struct loop *loop;
    struct client_use *all;
};

enum status clients_new(struct loop *loop, struct clients **ret_clients, struct err *err)
{
    struct clients *clients = calloc(1, sizeof(*clients));

    if (!clients)
        return err_set(err, ST_NOMEM, "a list of connections to instances");
    clients->loop = loop;
    *ret_clients = clients;
    return ST_OK;
}

/* Forget what is gone and unused. */
static void sweep(struct clients *clients)
{
    for (struct client_use **at = &clients->all; *at;) {
        struct client_use *use = *at;

        use->is_gone = use->is_gone || client_is_broken(use->client);
        if (!use->is_gone || use->n_users > 0) {
            at = &use->next;
            continue;
        }
        *at = use->next;
        client_free(use->client);
        free(use);
    }
}

void clients_free(struct clients *clients)
{
    if (!clients)
        return;
    for (struct client_use *use = clients->all; use; use = use->next)
        use->is_gone = true;
    sweep(clients);
    free(clients);
}

static enum status add(struct clients *clients, const struct route *route,
                       struct client_use **ret_use, struct err *err)
{
    struct client_use *use = calloc(1, sizeof(*use));
    enum status s;

    if (!use)
        return err_set(err, ST_NOMEM, "connect to instance %s", route->instance_id);
    s = client_new(clients->loop, &route->driver, &use->client, err);
    if (s != ST_OK) {
        free(use);
        return s;
    }
    memcpy(use->instance_id, route->instance_id, sizeof(use->instance_id));
    use->next = clients->all;
    clients->all = use;
    *ret_use = use;
    return ST_OK;
}

enum status clients_get(struct clients *clients, const struct route *route,
                        struct client_use **ret_use, struct err *err)
{
    struct client_use *use;
    enum status s = ST_OK;

    sweep(clients);
    for (use = clients->all; use; use = use->next) {
        if (!use->is_gone && strcmp(use->instance_id, route->instance_id) == 0)
            break;
    }
    if (!use)
        s = add(clients, route, &use, err);
    if (s != ST_OK)
        return s;
    use->n_users++;
    *ret_use = use;
    return ST_OK;
}

struct client *client_of(struct client_use *use)
{
    return use->client;
}

void clients_put(struct clients *clients, struct client_use *use)
{
    if (!use)
        return;
    use->n_users--;
    sweep(clients);
}

void clients_fail(struct clients *clients, const char *instance_id, const struct err *why)
{
    for (struct client_use *use = clients->all; use; use = use->next) {
        if (use->is_gone || strcmp(use->instance_id, instance_id) != 0)
            continue;
        use->is_gone = true;
        client_fail(use->client, why);
    }
}
