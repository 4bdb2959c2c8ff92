/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/ledger.c - every finding, found by the hash of subject and check (open addressing). */
#include "monitor/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"

enum { SLOTS = 4 * LEDGER_MAX };

struct ledger {
    struct check checks[N_CHECKS];
    ledger_change_fn *on_change;
    void *arg;
    struct ledger_entry *entries; /* [n] of capacity */
    size_t n, capacity;
    uint32_t slots[SLOTS]; /* index + 1; 0: free */
};

void subject_name(char *ret_subject, const char *kind, const char *name, const char *second)
{
    (void)snprintf(ret_subject, SUBJECT_MAX, second ? "%s/%.70s/%.70s" : "%s/%.140s", kind, name,
                   second);
}

enum status ledger_new(ledger_change_fn *on_change, void *arg, struct ledger **ret_ledger,
                       struct err *err)
{
    struct ledger *l = calloc(1, sizeof(*l));

    if (!l)
        return err_set(err, ST_NOMEM, "the list of findings");
    l->on_change = on_change;
    l->arg = arg;
    checks_default(l->checks);
    *ret_ledger = l;
    return ST_OK;
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    free(l->entries);
    free(l);
}

void ledger_use(struct ledger *l, const struct check *checks)
{
    memcpy(l->checks, checks, sizeof(l->checks));
}

const struct check *ledger_check(const struct ledger *l, enum check_id check)
{
    return &l->checks[check];
}

/* Where it is, or where it would be. */
static uint32_t slot_of(const struct ledger *l, const char *subject, enum check_id check)
{
    uint32_t slot = (uint32_t)XXH3_64bits_withSeed(subject, strlen(subject), check) % SLOTS;

    for (; l->slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        const struct ledger_entry *e = &l->entries[l->slots[slot] - 1];

        if (e->check == check && strcmp(e->subject, subject) == 0)
            break;
    }
    return slot;
}

static struct ledger_entry *add(struct ledger *l, const char *subject, enum check_id check,
                                uint32_t slot)
{
    struct ledger_entry *e;

    if (l->n == LEDGER_MAX)
        return NULL;
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 64;
        struct ledger_entry *more = realloc(l->entries, capacity * sizeof(*more));

        if (!more)
            return NULL;
        l->entries = more;
        l->capacity = capacity;
    }
    e = &l->entries[l->n++];
    memset(e, 0, sizeof(*e));
    (void)snprintf(e->subject, sizeof(e->subject), "%s", subject);
    e->check = check;
    l->slots[slot] = (uint32_t)l->n;
    return e;
}

static void tell(struct ledger *l, const struct ledger_entry *e, enum finding_state from)
{
    const struct ledger_change change = { e, &l->checks[e->check], from };

    l->on_change(l->arg, &change);
}

void ledger_observe(struct ledger *l, const char *subject, enum check_id check, double value,
                    const char *words, uint64_t now_ns)
{
    const uint32_t slot = slot_of(l, subject, check);
    struct ledger_entry *e = l->slots[slot] ? &l->entries[l->slots[slot] - 1] : NULL;
    enum finding_state from;

    if (l->checks[check].is_off)
        return;
    if (!e)
        e = add(l, subject, check, slot);
    if (!e) /* full: it is looked at again when there is room */
        return;
    (void)snprintf(e->words, sizeof(e->words), "%s", words ? words : "");
    if (finding_observe(&e->finding, &l->checks[check], value, now_ns, &from))
        tell(l, e, from);
}

static void rebuild(struct ledger *l)
{
    memset(l->slots, 0, sizeof(l->slots));
    for (size_t i = 0; i < l->n; i++)
        l->slots[slot_of(l, l->entries[i].subject, l->entries[i].check)] = (uint32_t)i + 1;
}

void ledger_tick(struct ledger *l, double forget_s, uint64_t now_ns)
{
    bool has_forgotten = false;

    for (size_t i = 0; i < l->n;) {
        struct ledger_entry *e = &l->entries[i];
        const struct check *c = &l->checks[e->check];
        const double silent_s = (double)(now_ns - e->finding.seen_ns) / (double)NS_PER_S;
        enum finding_state from;

        if (finding_age(&e->finding, c->is_off ? 0 : c->stale_s + c->for_s, now_ns, &from))
            tell(l, e, from);
        if (e->finding.state == FINDING_UNKNOWN && silent_s > forget_s) {
            l->entries[i] = l->entries[--l->n];
            has_forgotten = true;
        } else {
            i++;
        }
    }
    if (has_forgotten)
        rebuild(l);
}

const struct ledger_entry *ledger_entries(const struct ledger *l, size_t *ret_n)
{
    *ret_n = l->n;
    return l->entries;
}

const struct ledger_entry *ledger_find(const struct ledger *l, const char *subject,
                                       enum check_id check)
{
    const uint32_t slot = slot_of(l, subject, check);

    return l->slots[slot] ? &l->entries[l->slots[slot] - 1] : NULL;
}

enum finding_state ledger_worst(const struct ledger *l)
{
    enum finding_state worst = l->n > 0 ? FINDING_OK : FINDING_UNKNOWN;

    for (size_t i = 0; i < l->n; i++)
        if (l->entries[i].finding.state > worst)
            worst = l->entries[i].finding.state;
    return worst;
}
