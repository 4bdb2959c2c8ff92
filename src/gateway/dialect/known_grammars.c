/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/known_grammars.c - the grammars that compiled lately. */
#include "gateway/dialect/known_grammars.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

struct known_grammars {
    pthread_mutex_t lock;
    XXH128_hash_t ring[KNOWN_GRAMMARS_MAX];
    size_t n_added;
};

struct known_grammars *known_grammars_new(void)
{
    struct known_grammars *known = calloc(1, sizeof(*known));

    if (known)
        (void)pthread_mutex_init(&known->lock, NULL);
    return known;
}

void known_grammars_free(struct known_grammars *known)
{
    if (!known)
        return;
    (void)pthread_mutex_destroy(&known->lock);
    free(known);
}

bool known_grammars_has(struct known_grammars *known, const char *text, size_t n)
{
    bool is_known = false;
    XXH128_hash_t hash;

    if (!known)
        return false;
    hash = XXH3_128bits(text, n);
    pthread_mutex_lock(&known->lock);
    for (size_t i = 0; i < known->n_added && i < KNOWN_GRAMMARS_MAX && !is_known; i++)
        is_known = XXH128_isEqual(known->ring[i], hash);
    pthread_mutex_unlock(&known->lock);
    return is_known;
}

void known_grammars_add(struct known_grammars *known, const char *text, size_t n)
{
    XXH128_hash_t hash;

    if (!known)
        return;
    hash = XXH3_128bits(text, n);
    pthread_mutex_lock(&known->lock);
    known->ring[known->n_added++ % KNOWN_GRAMMARS_MAX] = hash;
    pthread_mutex_unlock(&known->lock);
}
