/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/rules.c - the rules of a grammar by name. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "text/grammar/grammar.h"
#include "text/grammar/parse.h"

static enum status grow_rules(struct rules *r)
{
    const uint32_t capacity = r->capacity > 0 ? 2 * r->capacity : 64, n_slots = 2 * capacity;
    struct rule *rules = realloc(r->rules, capacity * sizeof(*rules));
    uint32_t *slots;

    if (!rules)
        return ST_NOMEM;
    r->rules = rules;
    slots = calloc(n_slots, sizeof(*slots));
    if (!slots)
        return ST_NOMEM;
    free(r->slots);
    r->slots = slots;
    r->n_slots = n_slots;
    r->capacity = capacity;
    for (uint32_t i = 0; i < r->n; i++) {
        uint64_t at = XXH3_64bits(rules[i].name, rules[i].n_name);

        while (slots[at % n_slots] != 0)
            at++;
        slots[at % n_slots] = i + 1;
    }
    return ST_OK;
}

enum status rules_find(struct rules *r, const char *name, size_t n, uint32_t *ret, struct err *err)
{
    uint64_t at;

    if (r->n == r->capacity && grow_rules(r) != ST_OK)
        return err_set(err, ST_NOMEM, "a grammar");
    for (at = XXH3_64bits(name, n); r->slots[at % r->n_slots] != 0; at++) {
        const uint32_t i = r->slots[at % r->n_slots] - 1;

        if (r->rules[i].n_name == n && memcmp(r->rules[i].name, name, n) == 0) {
            *ret = i;
            return ST_OK;
        }
    }
    if (r->n == GRAMMAR_RULES_MAX)
        return err_set(err, ST_RANGE, "the grammar has more than %d rules", GRAMMAR_RULES_MAX);
    r->rules[r->n] = (struct rule){ .name = name, .n_name = n };
    r->slots[at % r->n_slots] = r->n + 1;
    *ret = r->n++;
    return ST_OK;
}

void rules_release(struct rules *r)
{
    graph_release(&r->graph);
    free(r->rules);
    free(r->slots);
    *r = (struct rules){ 0 };
}
