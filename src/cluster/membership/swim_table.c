/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_table.c - members in slots that do not move.
 *
 * sorted[] finds a slot by id.  order[] is the order of pings: each round goes
 * through all members once, then is shuffled; a new member gets a random place
 * in it (SWIM, section 4.3), so the time until a member is pinged is bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cluster/membership/swim_priv.h"

enum { CAPACITY_FIRST = 16, LOOK_MAX = 64 };

uint32_t swim_random(struct swim *swim, uint32_t below)
{
    return below > 1 ? (uint32_t)(swim->effects->random(swim->arg) % below) : 0;
}

struct swim_member entry_member(const struct entry *e)
{
    return (struct swim_member){
        .id = e->id, .address = e->address, .state = e->state, .incarnation = e->incarnation
    };
}

static int compare(const struct swim_id *a, const struct swim_id *b)
{
    return memcmp(a->bytes, b->bytes, SWIM_ID_BYTES);
}

/* The place in sorted[] of the first id >= `id`. */
static uint32_t lower_bound(const struct swim *swim, const struct swim_id *id)
{
    uint32_t low = 0, high = swim->n_entries;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;

        if (compare(&swim->entries[swim->sorted[middle]].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t table_find(const struct swim *swim, const struct swim_id *id)
{
    const uint32_t at = lower_bound(swim, id);

    if (at < swim->n_entries && compare(&swim->entries[swim->sorted[at]].id, id) == 0)
        return swim->sorted[at];
    return NO_SLOT;
}

uint32_t table_after(const struct swim *swim, const struct swim_id *after)
{
    uint32_t at;

    if (!after)
        return 0;
    at = lower_bound(swim, after);
    if (at < swim->n_entries && compare(&swim->entries[swim->sorted[at]].id, after) == 0)
        at++;
    return at;
}

static bool grow_array(void *array_at, size_t element_bytes, uint32_t capacity)
{
    void **array = array_at;
    void *grown = realloc(*array, capacity * element_bytes);

    if (grown)
        *array = grown;
    return grown != NULL;
}

static enum status grow(struct swim *swim, struct err *err)
{
    const uint32_t capacity = swim->capacity ? swim->capacity * 2 : CAPACITY_FIRST;

    if (swim->n_entries < swim->capacity)
        return ST_OK;
    if (!grow_array(&swim->entries, sizeof(*swim->entries), capacity) ||
        !grow_array(&swim->sorted, sizeof(*swim->sorted), capacity) ||
        !grow_array(&swim->order, sizeof(*swim->order), capacity))
        return err_set(err, ST_NOMEM, "%u members", capacity);
    swim->capacity = capacity;
    return ST_OK;
}

/* The one dead for longest; it gives its slot to a new member. */
static uint32_t oldest_dead(const struct swim *swim)
{
    uint32_t oldest = NO_SLOT;

    for (uint32_t i = 1; i < swim->n_entries; i++) {
        const struct entry *e = &swim->entries[i];

        if ((e->state == SWIM_ALIVE || e->state == SWIM_SUSPECT) || e->n_left > 0)
            continue;
        if (oldest == NO_SLOT || e->at_ns < swim->entries[oldest].at_ns)
            oldest = i;
    }
    return oldest;
}

static void sort_in(struct swim *swim, uint32_t slot, uint32_t n_sorted)
{
    const uint32_t n = swim->n_entries;
    uint32_t at;

    swim->n_entries = n_sorted; /* what sorted[] holds now */
    at = lower_bound(swim, &swim->entries[slot].id);
    memmove(&swim->sorted[at + 1], &swim->sorted[at], (n_sorted - at) * sizeof(*swim->sorted));
    swim->sorted[at] = slot;
    swim->n_entries = n;
}

static void sort_out(struct swim *swim, uint32_t slot)
{
    const uint32_t at = lower_bound(swim, &swim->entries[slot].id);

    memmove(&swim->sorted[at], &swim->sorted[at + 1],
            (swim->n_entries - at - 1) * sizeof(*swim->sorted));
}

/* What is under way to the member that had the slot says nothing of the next. */
static void forget_pings(struct swim *swim, uint32_t slot)
{
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (swim->probes[i].slot == slot)
            swim->probes[i].slot = NO_SLOT;
    for (size_t i = 0; i < RELAYED_MAX; i++)
        if (swim->relayed[i].slot == slot)
            swim->relayed[i].slot = NO_SLOT;
}

enum status table_add(struct swim *swim, const struct swim_member *member, uint64_t now_ns,
                      uint32_t *ret_slot, struct err *err)
{
    uint32_t slot, place;
    enum status s;

    if (swim->n_entries == SWIM_MEMBERS_MAX) {
        slot = oldest_dead(swim);
        if (slot == NO_SLOT)
            return err_set(err, ST_FULL, "there are %d members already", SWIM_MEMBERS_MAX);
        sort_out(swim, slot);
        forget_pings(swim, slot);
    } else {
        s = grow(swim, err);
        if (s != ST_OK)
            return s;
        slot = swim->n_entries++;
        place = swim->order_at + swim_random(swim, slot - swim->order_at + 1);
        swim->order[slot] = swim->order[place];
        swim->order[place] = slot;
    }
    swim->entries[slot] = (struct entry){ .id = member->id,
                                          .address = member->address,
                                          .state = SWIM_ABSENT,
                                          .incarnation = member->incarnation,
                                          .at_ns = now_ns };
    sort_in(swim, slot, swim->n_entries - 1);
    *ret_slot = slot;
    return ST_OK;
}

static bool is_peer(const struct swim *swim, uint32_t slot)
{
    const uint8_t state = swim->entries[slot].state;

    return slot != 0 && (state == SWIM_ALIVE || state == SWIM_SUSPECT);
}

static void shuffle(struct swim *swim)
{
    for (uint32_t i = swim->n_entries; i > 1; i--) {
        const uint32_t k = swim_random(swim, i), slot = swim->order[k];

        swim->order[k] = swim->order[i - 1];
        swim->order[i - 1] = slot;
    }
    swim->order_at = 0;
}

/* The rest of this round and all of the next: who is there is found. */
uint32_t table_next_to_ping(struct swim *swim)
{
    for (uint32_t i = 0; i < 2 * swim->n_entries; i++) {
        uint32_t slot;

        if (swim->order_at >= swim->n_entries)
            shuffle(swim);
        slot = swim->order[swim->order_at++];
        if (is_peer(swim, slot))
            return slot;
    }
    return NO_SLOT;
}

static bool is_among(uint32_t slot, const uint32_t *slots, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (slots[i] == slot)
            return true;
    return false;
}

/* Tries random slots; where most are dead, fewer than there are may be found. */
size_t table_pick(struct swim *swim, uint32_t but, size_t n, uint32_t *ret_slots)
{
    const bool is_small = swim->n_entries <= LOOK_MAX;
    const uint32_t start = swim_random(swim, swim->n_entries);
    const uint32_t n_looks = is_small ? swim->n_entries : LOOK_MAX;
    size_t n_found = 0;

    for (uint32_t i = 0; i < n_looks && n_found < n; i++) {
        const uint32_t slot =
            is_small ? (start + i) % swim->n_entries : swim_random(swim, swim->n_entries);

        if (slot != but && slot != 0 && swim->entries[slot].state == SWIM_ALIVE &&
            !is_among(slot, ret_slots, n_found))
            ret_slots[n_found++] = slot;
    }
    return n_found;
}

uint32_t table_next_dead(struct swim *swim)
{
    for (uint32_t i = 0; i < LOOK_MAX && i < swim->n_entries; i++) {
        const uint32_t slot = swim->revive_at++ % swim->n_entries;

        if (swim->entries[slot].state == SWIM_DEAD)
            return slot;
    }
    return NO_SLOT;
}
