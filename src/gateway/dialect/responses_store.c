/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/responses_store.c - responses that are asked for again, or gone on with.
 *
 * A ring, the oldest first; kept as text, as its length is the memory it takes.  What is dropped
 * before its time leaves an empty place.
 */
#include "gateway/dialect/responses_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "contract/request.h"

struct stored {
    char id[REQUEST_ID_MAX];
    uint64_t owner, until_ns;
    char *record; /* JSON; NULL: an empty place */
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

static void empty(struct responses_store *store, struct stored *s)
{
    store->n_bytes -= s->n_bytes;
    free(s->record);
    *s = (struct stored){ .until_ns = s->until_ns };
}

static void drop_oldest(struct responses_store *store)
{
    empty(store, &store->ring[store->first]);
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

void responses_store_put(struct responses_store *store, uint64_t owner, const char *id,
                         const json_t *record)
{
    char *text = json_dumps(record, JSON_COMPACT);
    const size_t n = text ? strlen(text) : 0;
    struct stored *s;

    if (!text || n > STORED_BYTES_MAX / 4 || !id[0] || strlen(id) >= REQUEST_ID_MAX) {
        free(text);
        return;
    }
    pthread_mutex_lock(&store->lock);
    drop_old(store);
    while (store->n == STORED_MAX || (store->n > 0 && store->n_bytes + n > STORED_BYTES_MAX))
        drop_oldest(store);
    s = &store->ring[(store->first + store->n++) % STORED_MAX];
    *s = (struct stored){
        .owner = owner,
        .until_ns = clock_ns() + STORED_S * NS_PER_S,
        .record = text,
        .n_bytes = n,
    };
    memcpy(s->id, id, strlen(id) + 1);
    store->n_bytes += n;
    pthread_mutex_unlock(&store->lock);
}

/* With the lock held. */
static struct stored *find(struct responses_store *store, uint64_t owner, const char *id)
{
    drop_old(store);
    for (size_t i = 0; i < store->n; i++) {
        struct stored *s = &store->ring[(store->first + i) % STORED_MAX];

        if (s->record && s->owner == owner && strcmp(s->id, id) == 0)
            return s;
    }
    return NULL;
}

json_t *responses_store_get(struct responses_store *store, uint64_t owner, const char *id)
{
    const struct stored *s;
    json_t *record;

    pthread_mutex_lock(&store->lock);
    s = find(store, owner, id);
    record = s ? json_loads(s->record, 0, NULL) : NULL;
    pthread_mutex_unlock(&store->lock);
    return record;
}

bool responses_store_drop(struct responses_store *store, uint64_t owner, const char *id)
{
    struct stored *s;

    pthread_mutex_lock(&store->lock);
    s = find(store, owner, id);
    if (s)
        empty(store, s);
    pthread_mutex_unlock(&store->lock);
    return s != NULL;
}
