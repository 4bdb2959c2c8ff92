/* SPDX-License-Identifier: Apache-2.0 */
/* memory/prefix.c - KV pages found again by the tokens they hold.
 *
 * The node of a page has the page's number.  The tree itself holds each kept
 * page once, so one that only the tree holds is cached; those are a list,
 * least recently used first.
 *
 * Invariant: who holds a page holds all before it in its text, and lets go of
 * the last first.  So in the list every page comes before its parent, and the
 * first has no children.
 */
#include "memory/prefix.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/size.h"
#include "memory/pages.h"

enum { NONE = UINT32_MAX };

struct node {
    uint64_t hash; /* of the whole text up to here */
    uint64_t salt;
    uint32_t parent;
    uint32_t next_in_bucket;
    uint32_t older, newer; /* in the list of cached pages */
    bool is_kept;
};

struct prefix {
    struct pages *pages;
    uint32_t page_tokens;
    uint32_t n_buckets; /* a power of two */
    uint32_t n_cached;
    uint32_t oldest, newest;
    struct node *nodes; /* [n_pages] */
    uint32_t *buckets;  /* [n_buckets] */
    int32_t *tokens;    /* [n_pages][page_tokens], of kept pages */
};

static enum status allocate(struct prefix *p, uint32_t n_pages, struct err *err)
{
    size_t n_tokens;

    if (n_pages > UINT32_MAX / 4 || !size_mul(n_pages, p->page_tokens, &n_tokens))
        return err_set(err, ST_RANGE, "a tree of %u pages", n_pages);
    for (p->n_buckets = 16; p->n_buckets < 2 * n_pages; p->n_buckets *= 2)
        ;
    p->nodes = calloc(n_pages, sizeof(*p->nodes));
    p->buckets = calloc(p->n_buckets, sizeof(*p->buckets));
    p->tokens = calloc(n_tokens, sizeof(*p->tokens));
    if (!p->nodes || !p->buckets || !p->tokens)
        return err_set(err, ST_NOMEM, "a tree of %u pages", n_pages);
    for (uint32_t i = 0; i < p->n_buckets; i++)
        p->buckets[i] = NONE;
    return pages_new(n_pages, &p->pages, err);
}

enum status prefix_new(uint32_t n_pages, uint32_t page_tokens, struct prefix **ret_prefix,
                       struct err *err)
{
    struct prefix *p;
    enum status s;

    if (n_pages == 0 || page_tokens == 0)
        return err_set(err, ST_RANGE, "a KV cache needs at least one page");
    p = calloc(1, sizeof(*p));
    if (!p)
        return err_set(err, ST_NOMEM, "a tree of pages");
    p->page_tokens = page_tokens;
    p->oldest = p->newest = NONE;
    s = allocate(p, n_pages, err);
    if (s == ST_OK) {
        *ret_prefix = p;
        p = NULL;
    }
    prefix_free(p);
    return s;
}

void prefix_free(struct prefix *p)
{
    if (!p)
        return;
    pages_free(p->pages);
    free(p->nodes);
    free(p->buckets);
    free(p->tokens);
    free(p);
}

static void list_append(struct prefix *p, uint32_t id)
{
    struct node *node = &p->nodes[id];

    node->older = p->newest;
    node->newer = NONE;
    if (p->newest != NONE)
        p->nodes[p->newest].newer = id;
    else
        p->oldest = id;
    p->newest = id;
    p->n_cached++;
}

static void list_remove(struct prefix *p, uint32_t id)
{
    const struct node *node = &p->nodes[id];

    if (node->older != NONE)
        p->nodes[node->older].newer = node->newer;
    else
        p->oldest = node->newer;
    if (node->newer != NONE)
        p->nodes[node->newer].older = node->older;
    else
        p->newest = node->older;
    p->n_cached--;
}

static uint32_t *bucket_of(struct prefix *p, uint64_t hash)
{
    return &p->buckets[hash & (p->n_buckets - 1)];
}

static int32_t *tokens_of(struct prefix *p, uint32_t id)
{
    return p->tokens + (size_t)id * p->page_tokens;
}

static uint64_t hash_of(const struct prefix *p, uint64_t salt, uint32_t parent,
                        const int32_t *tokens)
{
    const uint64_t seed = parent == PREFIX_ROOT ? salt : p->nodes[parent].hash;

    return XXH3_64bits_withSeed(tokens, p->page_tokens * sizeof(*tokens), seed);
}

/* The kept page that follows `parent` with these tokens; NONE. */
static uint32_t look_up(struct prefix *p, uint64_t salt, uint32_t parent, uint64_t hash,
                        const int32_t *tokens)
{
    const size_t n_bytes = p->page_tokens * sizeof(*tokens);
    uint32_t id = *bucket_of(p, hash);

    while (id != NONE &&
           (p->nodes[id].hash != hash || p->nodes[id].parent != parent ||
            p->nodes[id].salt != salt || memcmp(tokens_of(p, id), tokens, n_bytes) != 0))
        id = p->nodes[id].next_in_bucket;
    return id;
}

static void hold(struct prefix *p, uint32_t id)
{
    if (pages_n_holders(p->pages, id) == 1)
        list_remove(p, id);
    pages_hold(p->pages, id);
}

static void forget(struct prefix *p, uint32_t id)
{
    uint32_t *at = bucket_of(p, p->nodes[id].hash);

    while (*at != id)
        at = &p->nodes[*at].next_in_bucket;
    *at = p->nodes[id].next_in_bucket;
    p->nodes[id].is_kept = false;
    list_remove(p, id);
    pages_release(p->pages, id);
}

uint32_t prefix_find(struct prefix *p, uint64_t salt, const int32_t *tokens, uint32_t max_pages,
                     uint32_t *ret_ids)
{
    uint32_t parent = PREFIX_ROOT, n = 0;

    for (; n < max_pages; n++, tokens += p->page_tokens) {
        const uint32_t id = look_up(p, salt, parent, hash_of(p, salt, parent, tokens), tokens);

        if (id == NONE)
            break;
        hold(p, id);
        ret_ids[n] = parent = id;
    }
    return n;
}

enum status prefix_take(struct prefix *p, uint32_t n, uint32_t *ret_ids)
{
    if (n > prefix_n_available(p))
        return ST_FULL;
    while (pages_n_free(p->pages) < n)
        forget(p, p->oldest);
    return pages_take(p->pages, n, ret_ids);
}

uint32_t prefix_keep(struct prefix *p, uint64_t salt, uint32_t parent, const int32_t *tokens,
                     uint32_t id)
{
    const uint64_t hash = hash_of(p, salt, parent, tokens);
    const uint32_t same = look_up(p, salt, parent, hash, tokens);
    struct node *node = &p->nodes[id];

    assert(parent == PREFIX_ROOT || p->nodes[parent].is_kept); /* a text is kept from its start */
    assert(!node->is_kept && pages_n_holders(p->pages, id) == 1);
    if (same != NONE) {
        hold(p, same);
        pages_release(p->pages, id);
        return same;
    }
    *node = (struct node){ .hash = hash,
                           .salt = salt,
                           .parent = parent,
                           .next_in_bucket = *bucket_of(p, hash),
                           .is_kept = true };
    *bucket_of(p, hash) = id;
    memcpy(tokens_of(p, id), tokens, p->page_tokens * sizeof(*tokens));
    pages_hold(p->pages, id);
    return id;
}

void prefix_release(struct prefix *p, const uint32_t *ids, uint32_t n)
{
    while (n-- > 0) {
        pages_release(p->pages, ids[n]);
        if (p->nodes[ids[n]].is_kept && pages_n_holders(p->pages, ids[n]) == 1)
            list_append(p, ids[n]);
    }
}

uint32_t prefix_n_available(const struct prefix *p)
{
    return pages_n_free(p->pages) + p->n_cached;
}

uint32_t prefix_n_cached(const struct prefix *p)
{
    return p->n_cached;
}

uint32_t prefix_n_held(const struct prefix *p)
{
    return pages_n_used(p->pages) - p->n_cached;
}
