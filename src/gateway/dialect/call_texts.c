/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/call_texts.c - arguments of calls as the model wrote them, found by what they say.
 *
 * A ring, the oldest first, under a table of chains.  An entry's key is a hash of the arguments in one
 * spelling; what is found is compared, so a hash that two share costs no more than a miss.
 */
#include "gateway/dialect/call_texts.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { NONE = -1 };

struct entry {
    uint64_t key;
    char *text; /* NULL: an empty place */
    size_t n;
    int next; /* of its chain; NONE: the last */
};

struct call_texts {
    pthread_mutex_t lock; /* of all that follows */
    struct entry ring[CALL_TEXTS_MAX];
    int chains[CALL_TEXTS_MAX];
    size_t first, n, n_bytes;
};

struct call_texts *call_texts_new(void)
{
    struct call_texts *texts = calloc(1, sizeof(*texts));

    if (!texts)
        return NULL;
    (void)pthread_mutex_init(&texts->lock, NULL);
    for (size_t i = 0; i < CALL_TEXTS_MAX; i++)
        texts->chains[i] = NONE;
    return texts;
}

static void drop_oldest(struct call_texts *texts)
{
    struct entry *oldest = &texts->ring[texts->first];
    int *link = &texts->chains[oldest->key % CALL_TEXTS_MAX];

    while (*link != (int)texts->first)
        link = &texts->ring[*link].next;
    *link = oldest->next;
    texts->n_bytes -= oldest->n;
    free(oldest->text);
    *oldest = (struct entry){ 0 };
    texts->first = (texts->first + 1) % CALL_TEXTS_MAX;
    texts->n--;
}

void call_texts_free(struct call_texts *texts)
{
    if (!texts)
        return;
    while (texts->n > 0)
        drop_oldest(texts);
    (void)pthread_mutex_destroy(&texts->lock);
    free(texts);
}

/* False: no memory. */
static bool key_of(uint64_t owner, const char *name, const json_t *arguments, uint64_t *ret)
{
    char *text = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);

    if (!text)
        return false;
    *ret = XXH3_64bits_withSeed(text, strlen(text),
                                owner ^ XXH3_64bits_withSeed(name, strlen(name), owner));
    free(text);
    return true;
}

void call_texts_put(struct call_texts *texts, uint64_t owner, const char *name, const char *text,
                    size_t n)
{
    json_t *arguments = json_loadb(text, n, 0, NULL);
    char *copy = n <= CALL_TEXTS_BYTES_MAX / 8 ? malloc(n + 1) : NULL;
    uint64_t key;
    size_t at;

    if (!copy || !json_is_object(arguments) || !key_of(owner, name, arguments, &key)) {
        json_decref(arguments);
        free(copy);
        return;
    }
    json_decref(arguments);
    memcpy(copy, text, n);
    copy[n] = '\0';
    pthread_mutex_lock(&texts->lock);
    while (texts->n == CALL_TEXTS_MAX ||
           (texts->n > 0 && texts->n_bytes + n > CALL_TEXTS_BYTES_MAX))
        drop_oldest(texts);
    at = (texts->first + texts->n++) % CALL_TEXTS_MAX;
    texts->ring[at] = (struct entry){ key, copy, n, texts->chains[key % CALL_TEXTS_MAX] };
    texts->chains[key % CALL_TEXTS_MAX] = (int)at;
    texts->n_bytes += n;
    pthread_mutex_unlock(&texts->lock);
}

static bool says(const struct entry *e, const json_t *arguments)
{
    json_t *said = json_loadb(e->text, e->n, 0, NULL);
    const bool is_same = said && json_equal(said, arguments);

    json_decref(said);
    return is_same;
}

/* With the lock held.  The newest comes first in its chain. */
static const char *find(const struct call_texts *texts, uint64_t key, const json_t *arguments)
{
    if (texts->n == 0)
        return NULL;
    for (int i = texts->chains[key % CALL_TEXTS_MAX]; i != NONE; i = texts->ring[i].next)
        if (texts->ring[i].key == key && says(&texts->ring[i], arguments))
            return texts->ring[i].text;
    return NULL;
}

char *call_texts_get(struct call_texts *texts, uint64_t owner, const char *name,
                     const json_t *arguments)
{
    const char *found;
    char *copy;
    uint64_t key;

    if (!texts || !key_of(owner, name, arguments, &key))
        return NULL;
    pthread_mutex_lock(&texts->lock);
    found = find(texts, key, arguments);
    copy = found ? strdup(found) : NULL;
    pthread_mutex_unlock(&texts->lock);
    return copy;
}
