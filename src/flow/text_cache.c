/* SPDX-License-Identifier: Apache-2.0 */
/* flow/text_cache.c - the tokenizers and templates of models in use.
 *
 *   opening --job ends--> ready --idle too long--> dropped
 *      \--------fails----> dropped, each waiter told why
 *
 * The job's thread touches only the entry's `file`, `text` and `err`; the
 * loop touches them again after the job.
 */
#include "flow/text_cache.h"

#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/share/fetch.h"
#include "net/job.h"
#include "text/prompt.h"

struct text_entry {
    struct text text; /* first: a text is its entry */
    struct text_cache *cache;
    struct cluster_file file;
    uint8_t key[SHARE_KEY_BYTES]; /* where file.key points */
    uint8_t digest[MODEL_DIGEST_BYTES];
    char name[MODEL_NAME_MAX]; /* what the cluster calls it */
    bool is_ready;
    enum status status; /* of the job */
    struct err err;
    unsigned n_users;
    uint64_t last_used; /* the cache's counter */
    struct text_waiter *waiters;
    struct text_entry *next;
};

struct text_cache {
    struct loop *loop;
    struct text_entry *entries;
    uint64_t clock;
    size_t n_jobs;
    bool is_abandoned; /* freed while a job runs: the job frees it */
};

enum status text_cache_new(struct loop *loop, struct text_cache **ret_cache, struct err *err)
{
    struct text_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return err_set(err, ST_NOMEM, "a cache of tokenizers");
    cache->loop = loop;
    *ret_cache = cache;
    return ST_OK;
}

static void entry_free(struct text_entry *entry)
{
    tokenizer_free(entry->text.tokenizer);
    template_free(entry->text.template);
    json_decref(entry->text.trusted);
    free(entry);
}

static void unlink_entry(struct text_cache *cache, const struct text_entry *entry)
{
    struct text_entry **at = &cache->entries;

    while (*at && *at != entry)
        at = &(*at)->next;
    if (*at)
        *at = entry->next;
}

void text_cache_free(struct text_cache *cache)
{
    if (!cache)
        return;
    if (cache->n_jobs > 0) {
        cache->is_abandoned = true;
        return;
    }
    while (cache->entries) {
        struct text_entry *entry = cache->entries;

        cache->entries = entry->next;
        entry_free(entry);
    }
    free(cache);
}

bool text_cache_is_idle(const struct text_cache *cache)
{
    return cache->n_jobs == 0;
}

static enum status open_text(const char *path, struct text *text, struct err *err)
{
    struct model *model = NULL;
    enum status s = model_open(path, &model, err);

    if (s == ST_OK)
        s = model_tokenizer(model, &text->tokenizer, err);
    if (s != ST_OK)
        goto out;
    if (model_template(model, &text->template, &text->template_err) != ST_OK)
        text->template = NULL; /* plain completions do without */
    text->speech = model_speech(model);
    text->trusted = prompt_trusted(text->tokenizer);
    if (!text->trusted)
        s = err_set(err, ST_NOMEM, "read the tokenizer of %s", path);

out:
    model_free(model);
    return s;
}

/* The beginning of the file, which holds the tokenizer and the template. */
static enum status fetch_head(const struct text_entry *entry, struct err *err)
{
    const struct cluster_file *file = &entry->file;
    struct swarm_source sources[CLUSTER_SOURCES_MAX];
    struct fetch_options options = {
        .path = file->path,
        .name = entry->name,
        .origin = file->origin,
        .hub_endpoint = file->hub_endpoint[0] ? file->hub_endpoint : NULL,
        .hub_token = file->hub_token[0] ? file->hub_token : NULL,
        .from = { .sources = sources,
                  .n_sources = file->n_sources,
                  .key = file->key,
                  .root = file->has_root ? file->root : NULL },
    };
    struct fetch_result result;

    memcpy(options.from.digest, entry->digest, sizeof(options.from.digest));
    for (size_t i = 0; i < file->n_sources; i++)
        sources[i] = (struct swarm_source){ file->sources[i].host, file->sources[i].port,
                                            file->sources[i].is_part, &file->sources[i].hosts };
    return shard_fetch(&options, &result, err);
}

static void run(void *arg)
{
    struct text_entry *entry = arg;

    entry->status = entry->file.is_fetched ? fetch_head(entry, &entry->err) : ST_OK;
    if (entry->status == ST_OK)
        entry->status = open_text(entry->file.path, &entry->text, &entry->err);
}

static void tell(struct text_entry *entry)
{
    while (entry->waiters) {
        struct text_waiter *w = entry->waiters;

        entry->waiters = w->next;
        w->entry = NULL;
        if (entry->status == ST_OK) {
            w->text = &entry->text;
            entry->n_users++;
        } else {
            w->err = entry->err;
        }
        w->fn(w->arg);
    }
}

static void done(void *arg)
{
    struct text_entry *entry = arg;
    struct text_cache *cache = entry->cache;

    cache->n_jobs--;
    if (cache->is_abandoned) {
        text_cache_free(cache);
        return;
    }
    entry->is_ready = entry->status == ST_OK;
    entry->last_used = ++cache->clock;
    if (!entry->is_ready)
        unlink_entry(cache, entry);
    entry->n_users++; /* ours, while waiters are told */
    tell(entry);
    entry->n_users--;
    if (!entry->is_ready)
        entry_free(entry);
}

static struct text_entry *find(struct text_cache *cache, const struct model_info *model)
{
    struct text_entry *entry = cache->entries;

    while (entry && memcmp(entry->digest, model->digest, sizeof(entry->digest)) != 0)
        entry = entry->next;
    return entry;
}

static void take_file(struct text_entry *entry, const struct cluster_file *file)
{
    entry->file = *file;
    if (!file->key)
        return;
    memcpy(entry->key, file->key, sizeof(entry->key));
    entry->file.key = entry->key;
}

static enum status start(struct text_cache *cache, const struct model_info *model,
                         const struct cluster_file *file, struct text_entry **ret_entry,
                         struct err *err)
{
    struct text_entry *entry = calloc(1, sizeof(*entry));
    enum status s;

    if (!entry)
        return err_set(err, ST_NOMEM, "read the tokenizer of %s", model->name);
    entry->cache = cache;
    memcpy(entry->digest, model->digest, sizeof(entry->digest));
    memcpy(entry->name, model->name, sizeof(entry->name));
    take_file(entry, file);
    s = job_start(cache->loop, run, done, NULL, entry, err);
    if (s != ST_OK) {
        free(entry);
        return s;
    }
    cache->n_jobs++;
    entry->next = cache->entries;
    cache->entries = entry;
    *ret_entry = entry;
    return ST_OK;
}

enum status text_cache_get(struct text_cache *cache, const struct model_info *model,
                           const struct cluster_file *file, struct text_waiter *waiter,
                           struct err *err)
{
    struct text_entry *entry = find(cache, model);

    waiter->text = NULL;
    waiter->err = (struct err){ 0 };
    if (!entry) {
        const enum status s = start(cache, model, file, &entry, err);

        if (s != ST_OK)
            return s;
    }
    if (entry->is_ready) {
        entry->n_users++;
        waiter->text = &entry->text;
        return ST_OK;
    }
    waiter->entry = entry;
    waiter->next = entry->waiters;
    entry->waiters = waiter;
    return ST_OK;
}

void text_cache_forget(struct text_cache *cache, struct text_waiter *waiter)
{
    struct text_waiter **at = waiter->entry ? &waiter->entry->waiters : NULL;

    (void)cache;
    while (at && *at && *at != waiter)
        at = &(*at)->next;
    if (at && *at)
        *at = waiter->next;
    waiter->entry = NULL;
}

static void drop_oldest_idle(struct text_cache *cache)
{
    struct text_entry *oldest = NULL;
    size_t n_idle = 0;

    for (struct text_entry *e = cache->entries; e; e = e->next) {
        if (!e->is_ready || e->n_users > 0)
            continue;
        n_idle++;
        if (!oldest || e->last_used < oldest->last_used)
            oldest = e;
    }
    if (n_idle <= TEXTS_IDLE_MAX)
        return;
    unlink_entry(cache, oldest);
    entry_free(oldest);
}

void text_cache_put(struct text_cache *cache, struct text *text)
{
    struct text_entry *entry = (struct text_entry *)text;

    if (!text)
        return;
    entry->n_users--;
    entry->last_used = ++cache->clock;
    drop_oldest_idle(cache);
}
