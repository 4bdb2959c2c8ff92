/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway_responses.c - responses that were answered: shown, deleted, canceled.
 *
 * Whose a response is not, to them it is not there.
 *
 * Source: OpenAI API reference, "Responses"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/responses_store.h"
#include "gateway/gateway_priv.h"
#include "gateway/http/route.h"

enum { ITEMS_DEFAULT = 20, ITEMS_MAX = 100, ITEM_ID_MAX = 256 };

/* The id at the start of the path's rest; the part behind it, "" where there is none. */
static const char *split(const char *rest, char ret_id[REQUEST_ID_MAX])
{
    const char *slash = strchr(rest, '/');
    const size_t n = slash ? (size_t)(slash - rest) : strlen(rest);

    (void)snprintf(ret_id, REQUEST_ID_MAX, "%.*s", n < REQUEST_ID_MAX ? (int)n : 0, rest);
    return slash ? slash + 1 : "";
}

static void not_there(struct exchange *x, const char *id)
{
    struct api_error e;

    (void)api_error_set(&e, API_UNKNOWN_ANSWER, "response_id",
                        "The response '%.64s' is not kept here.", id);
    exchange_fail(x, &e);
}

static void unknown_part(struct exchange *x)
{
    struct api_error e;

    (void)api_error_set(&e, API_UNKNOWN_URL, NULL, "A response has no such part.");
    exchange_fail(x, &e);
}

/* value  taken */
static void reply_json(struct exchange *x, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    struct buf body = { 0 };
    struct api_error e;

    json_decref(value);
    buf_puts(&body, text ? text : "");
    free(text);
    if (body.len > 0 && buf_status(&body) == ST_OK) {
        exchange_reply(x, 200, "application/json", &body);
        return;
    }
    buf_release(&body);
    (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for this request.");
    exchange_fail(x, &e);
}

struct page {
    size_t limit;
    bool is_ascending;
    char after[ITEM_ID_MAX];
};

static enum status read_page(const struct exchange *x, struct page *ret, struct api_error *e)
{
    const char *query = exchange_query(x);
    char value[ITEM_ID_MAX];

    *ret = (struct page){ .limit = ITEMS_DEFAULT };
    if (query_value(query, "limit", value, sizeof(value))) {
        char *end;
        const long limit = strtol(value, &end, 10);

        if (*end || end == value || limit < 1 || limit > ITEMS_MAX)
            return api_error_set(e, API_INVALID_VALUE, "limit", "'limit' must be 1 to %d.",
                                 ITEMS_MAX);
        ret->limit = (size_t)limit;
    }
    if (query_value(query, "order", value, sizeof(value))) {
        ret->is_ascending = strcmp(value, "asc") == 0;
        if (!ret->is_ascending && strcmp(value, "desc") != 0)
            return api_error_set(e, API_INVALID_VALUE, "order", "'order' must be 'asc' or 'desc'.");
    }
    (void)query_value(query, "after", ret->after, sizeof(ret->after));
    return ST_OK;
}

static const char *id_of(const json_t *item)
{
    const char *id = json_string_value(json_object_get(item, "id"));

    return id ? id : "";
}

/* Items of this page; *ret_more: others follow.  Given: json_decref(). */
static json_t *items_of(const json_t *items, const struct page *page, bool *ret_more)
{
    const size_t n = json_array_size(items);
    json_t *shown = json_array();
    bool has_begun = !page->after[0];

    *ret_more = false;
    for (size_t i = 0; i < n && !*ret_more; i++) {
        json_t *item = json_array_get(items, page->is_ascending ? i : n - 1 - i);

        if (!has_begun)
            has_begun = strcmp(id_of(item), page->after) == 0;
        else if (json_array_size(shown) == page->limit)
            *ret_more = true;
        else
            (void)json_array_append(shown, item);
    }
    return shown;
}

static void show_items(struct exchange *x, const json_t *record)
{
    struct page page;
    struct api_error e;
    json_t *items;
    size_t n;
    bool has_more;

    if (read_page(x, &page, &e) != ST_OK) {
        exchange_fail(x, &e);
        return;
    }
    items = items_of(json_object_get(record, "input"), &page, &has_more);
    n = json_array_size(items);
    reply_json(x, json_pack("{s:s,s:s*,s:s*,s:b,s:o}", "object", "list", "first_id",
                            n ? id_of(json_array_get(items, 0)) : NULL, "last_id",
                            n ? id_of(json_array_get(items, n - 1)) : NULL, "has_more", has_more,
                            "data", items));
}

void gateway_response_show(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char id[REQUEST_ID_MAX], streams[8];
    const char *part = split(exchange_rest(x), id);
    json_t *record = responses_store_get(g->store, access_tenant(x), id);
    struct api_error e;

    if (part[0] && strcmp(part, "input_items") != 0) {
        unknown_part(x);
    } else if (!record) {
        not_there(x, id);
    } else if (part[0]) {
        show_items(x, record);
    } else if (query_value(exchange_query(x), "stream", streams, sizeof(streams)) &&
               strcmp(streams, "true") == 0) {
        (void)api_error_set(&e, API_UNSUPPORTED, "stream",
                            "A response that is complete is not streamed again.");
        exchange_fail(x, &e);
    } else {
        reply_json(x, json_incref(json_object_get(record, "response")));
    }
    json_decref(record);
}

void gateway_response_delete(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char id[REQUEST_ID_MAX];

    if (split(exchange_rest(x), id)[0])
        unknown_part(x);
    else if (!responses_store_drop(g->store, access_tenant(x), id))
        not_there(x, id);
    else
        reply_json(
            x, json_pack("{s:s,s:s,s:b}", "id", id, "object", "response.deleted", "deleted", 1));
}

void gateway_response_cancel(void *arg, struct exchange *x)
{
    struct gateway *g = arg;
    char id[REQUEST_ID_MAX];
    const uint64_t owner = access_tenant(x);
    json_t *record;
    struct api_error e;

    if (strcmp(split(exchange_rest(x), id), "cancel") != 0) {
        unknown_part(x);
        return;
    }
    record = responses_store_get(g->store, owner, id);
    if (!record) {
        g->handlers->cancel_response(g->arg, x, id, owner);
        return;
    }
    json_decref(record);
    (void)api_error_set(&e, API_INVALID_VALUE, "response_id",
                        "The response is complete: only one that is being given can be canceled.");
    exchange_fail(x, &e);
}
