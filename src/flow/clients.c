/* SPDX-License-Identifier: Apache-2.0 */
/* flow/clients.c - one connection to each instance in use. */
#include "flow/clients.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct client_use {
    char instance_id[INSTANCE_ID_MAX];
    struct client *client;
    unsigned n_users;
    bool is_gone;    /* the instance, or the connection */
    bool is_relayed; /* over another node */
    uint64_t used_ns;
    struct client_use *next;
};

enum { UNREACHABLE_MAX = 16 };

struct clients {
    struct loop *loop;
    struct client_use *all;
    clients_relay_fn *relay; /* NULL: there is no other way */
    void *relay_arg;
    char unreachable[UNREACHABLE_MAX][INSTANCE_ID_MAX]; /* whose drivers are; a ring */
    size_t n_unreachable;
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

void clients_relay_with(struct clients *clients, clients_relay_fn *relay, void *arg)
{
    clients->relay = relay;
    clients->relay_arg = arg;
}

static char *find_unreachable(struct clients *clients, const char *instance_id)
{
    for (size_t i = 0; i < UNREACHABLE_MAX; i++)
        if (strcmp(clients->unreachable[i], instance_id) == 0)
            return clients->unreachable[i];
    return NULL;
}

/* What the end of a connection says of the way to its driver. */
static void learn_way(struct clients *clients, const struct client_use *use)
{
    char *known = find_unreachable(clients, use->instance_id);

    if (use->is_relayed && known)
        known[0] = '\0';
    else if (!use->is_relayed && !known && client_is_unreachable(use->client))
        memcpy(clients->unreachable[clients->n_unreachable++ % UNREACHABLE_MAX], use->instance_id,
               INSTANCE_ID_MAX);
}

static bool is_over(const struct client_use *use)
{
    return client_is_broken(use->client) ||
           (use->is_relayed && use->n_users == 0 &&
            clock_ns() - use->used_ns > CLIENTS_RELAY_MS * NS_PER_MS);
}

/* Forget what is gone and unused. */
static void sweep(struct clients *clients)
{
    for (struct client_use **at = &clients->all; *at;) {
        struct client_use *use = *at;

        if (!use->is_gone && is_over(use)) {
            use->is_gone = true;
            learn_way(clients, use);
        }
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
    int fd = -1;

    if (!use)
        return err_set(err, ST_NOMEM, "connect to instance %s", route->instance_id);
    if (clients->relay && find_unreachable(clients, route->instance_id))
        fd = clients->relay(clients->relay_arg, route->instance_id);
    use->is_relayed = fd >= 0;
    s = use->is_relayed ? client_new_over(clients->loop, &route->driver, fd, &use->client, err)
                        : client_new(clients->loop, &route->driver, &use->client, err);
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
    use->used_ns = clock_ns();
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
