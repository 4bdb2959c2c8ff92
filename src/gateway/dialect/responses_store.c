/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_store.c - conversations that a later request goes on with.
 *
 * A ring, the oldest first; kept as text, as its length is the memory it takes.
 */
#include "gateway/dialect/responses_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "contract/request.h"

struct stored {
    char id[REQUEST_ID_MAX];
    uint64_t tenant, until_ns;
    char *turns; /* JSON */
    size_t n_bytes;
};

struct responses_store {
    pthread_mutex_t lock; /* of all that follows */
    struct stored ring[STORED_MAX];
    size_t first, n;
    size_t n_bytes;
};

struct responses_store *responses_store_new(void)
{
    struct responses_store *store = calloc(1, sizeof(*store));

    if (store)
        (void)pthread_mutex_init(&store->lock, NULL);
    return store;
}

static void drop_oldest(struct responses_store *store)
{
    struct stored *oldest = &store->ring[store->first];

    store->n_bytes -= oldest->n_bytes;
    free(oldest->turns);
    *oldest = (struct stored){ 0 };
    store->first = (store->first + 1) % STORED_MAX;
    store->n--;
}

void responses_store_free(struct responses_store *store)
{
    if (!store)
        return;
    while (store->n > 0)
        drop_oldest(store);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

static void drop_old(struct responses_store *store)
{
    while (store->n > 0 && store->ring[store->first].until_ns <= clock_ns())
        drop_oldest(store);
}

void responses_store_put(struct responses_store *store, uint64_t tenant, const char *id,
                         const json_t *turns)
{
    char *text = json_dumps(turns, JSON_COMPACT);
    const size_t n = text ? strlen(text) : 0;
    struct stored *s;

    if (!text || n > STORED_BYTES_MAX / 4 || strlen(id) >= REQUEST_ID_MAX) {
        free(text);
        return;
    }
    pthread_mutex_lock(&store->lock);
    drop_old(store);
    while (store->n == STORED_MAX || (store->n > 0 && store->n_bytes + n > STORED_BYTES_MAX))
        drop_oldest(store);
    s = &store->ring[(store->first + store->n++) % STORED_MAX];
    *s = (struct stored){
        .tenant = tenant,
        .until_ns = clock_ns() + STORED_S * NS_PER_S,
        .turns = text,
        .n_bytes = n,
    };
    memcpy(s->id, id, strlen(id) + 1);
    store->n_bytes += n;
    pthread_mutex_unlock(&store->lock);
}

json_t *responses_store_get(struct responses_store *store, uint64_t tenant, const char *id)
{
    json_t *turns = NULL;

    pthread_mutex_lock(&store->lock);
    drop_old(store);
    for (size_t i = 0; i < store->n && !turns; i++) {
        const struct stored *s = &store->ring[(store->first + i) % STORED_MAX];

        if (s->tenant == tenant && strcmp(s->id, id) == 0)
            turns = json_loads(s->turns, 0, NULL);
    }
    pthread_mutex_unlock(&store->lock);
    return turns;
}
