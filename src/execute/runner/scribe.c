/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/scribe.c - grammars compile beside the driver. */
#include "execute/runner/scribe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct page {
    char *text;
    struct page *next;
};

struct scribe {
    const struct grammar_vocab *vocab;
    struct orders *orders;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct page *first, **last;
    bool ends;
};

static void page_free(struct page *page)
{
    if (!page)
        return;
    free(page->text);
    free(page);
}

static void compile(struct scribe *s, struct page *page)
{
    struct order order = { .kind = ORDER_COMPILED, .grammar = page->text };
    struct grammar *grammar;

    order.why.status =
        grammar_compile(page->text, strlen(page->text), s->vocab->usable, &grammar, &order.why);
    if (order.why.status == ST_OK)
        order.why.status = grammar_run_new(grammar, s->vocab, &order.run, &order.why);
    page->text = NULL;
    if (orders_put(s->orders, &order) != ST_OK)
        abort(); /* out of memory for a few bytes: whoever waits would wait for ever */
}

static struct page *next_page(struct scribe *s)
{
    struct page *page;

    pthread_mutex_lock(&s->lock);
    while (!s->first && !s->ends)
        pthread_cond_wait(&s->changed, &s->lock);
    page = s->ends ? NULL : s->first;
    if (page) {
        s->first = page->next;
        if (!s->first)
            s->last = &s->first;
    }
    pthread_mutex_unlock(&s->lock);
    return page;
}

static void *scribe_thread(void *arg)
{
    struct page *page;

    while ((page = next_page(arg)) != NULL) {
        compile(arg, page);
        page_free(page);
    }
    return NULL;
}

enum status scribe_new(const struct grammar_vocab *vocab, struct orders *orders,
                       struct scribe **ret_scribe, struct err *err)
{
    struct scribe *s = calloc(1, sizeof(*s));

    if (!s)
        return err_set(err, ST_NOMEM, "a thread for grammars");
    s->vocab = vocab;
    s->orders = orders;
    s->last = &s->first;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    *ret_scribe = s;
    return ST_OK;
}

enum status scribe_ask(struct scribe *s, const char *grammar, struct err *err)
{
    struct page *page = calloc(1, sizeof(*page));

    if (page)
        page->text = strdup(grammar);
    if (!page || !page->text) {
        page_free(page);
        return err_set(err, ST_NOMEM, "a grammar");
    }
    if (!s->is_running && pthread_create(&s->thread, NULL, scribe_thread, s) != 0) {
        page_free(page);
        return err_set(err, ST_FULL, "there is no thread to be had for a grammar; try again later");
    }
    s->is_running = true;
    pthread_mutex_lock(&s->lock);
    *s->last = page;
    s->last = &page->next;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return ST_OK;
}

void scribe_free(struct scribe *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->is_running)
        (void)pthread_join(s->thread, NULL);
    while (s->first) {
        struct page *page = s->first;

        s->first = page->next;
        page_free(page);
    }
    (void)pthread_cond_destroy(&s->changed);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}
