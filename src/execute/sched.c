/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sched.c - who runs and what the next step computes: decisions without side effects. */
#include "execute/sched.h"

/* The share of prompt rows that the oldest prompt has: one in ... */
enum { OLDEST_SHARE = 4 };

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool goes_before(const struct sched_entry *a, const struct sched_entry *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->served < b->served;
}

size_t sched_next(const struct sched_entry *entries, size_t n)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        const struct sched_entry *e = &entries[i];

        if (e->is_running || e->is_passed_over || e->n_pending == 0)
            continue;
        if (best == n || goes_before(e, &entries[best]))
            best = i;
    }
    return best;
}

/* Must entry v make room for entry i? */
static bool makes_room(const struct sched_entry *entries, size_t v, size_t i)
{
    if (!entries[v].is_running || entries[v].is_under_way || v == i)
        return false;
    if (entries[v].priority != entries[i].priority)
        return entries[v].priority > entries[i].priority;
    return entries[i].is_running && v > i;
}

size_t sched_victim(const struct sched_entry *entries, size_t n, size_t i)
{
    size_t lowest = n;

    for (size_t v = 0; v < n; v++)
        if (makes_room(entries, v, i) &&
            (lowest == n || entries[v].priority >= entries[lowest].priority))
            lowest = v;
    return lowest;
}

/* What is left to give away. */
struct room {
    uint32_t rows, prompt_rows, decodes, logit_rows;
};

static void give(struct room *room, uint32_t *rows, uint32_t n)
{
    *rows += n;
    room->rows -= n;
}

static bool is_decode(const struct sched_entry *e)
{
    return e->is_running && e->n_pending == 1;
}

static bool is_prompt(const struct sched_entry *e)
{
    return e->is_running && e->n_pending > 1;
}

static void plan_decodes(const struct sched_entry *entries, size_t n, struct room *room,
                         uint32_t *rows)
{
    for (size_t i = 0; i < n && room->rows > 0 && room->decodes > 0; i++) {
        if (!is_decode(&entries[i]))
            continue;
        give(room, &rows[i], 1);
        room->decodes--;
    }
}

static void give_prompt(const struct sched_entry *e, uint32_t *rows, struct room *room,
                        uint32_t n_most)
{
    const uint32_t n = min_u32(e->n_pending - *rows, min_u32(n_most, room->prompt_rows));

    give(room, rows, n);
    room->prompt_rows -= n;
}

static size_t oldest_prompt(const struct sched_entry *entries, size_t n)
{
    size_t oldest = n;

    for (size_t i = 0; i < n; i++)
        if (is_prompt(&entries[i]) &&
            (oldest == n || entries[i].priority < entries[oldest].priority))
            oldest = i;
    return oldest;
}

static bool is_nearer_its_end(const struct sched_entry *a, uint32_t a_rows,
                              const struct sched_entry *b, uint32_t b_rows)
{
    if (a->priority != b->priority)
        return a->priority < b->priority;
    return a->n_pending - a_rows < b->n_pending - b_rows;
}

static size_t nearest_prompt(const struct sched_entry *entries, size_t n, const uint32_t *rows,
                             bool only_short)
{
    size_t best = n;

    for (size_t i = 0; i < n; i++) {
        if (!is_prompt(&entries[i]) || entries[i].n_pending == rows[i] ||
            (only_short && !entries[i].is_short))
            continue;
        if (best == n || is_nearer_its_end(&entries[i], rows[i], &entries[best], rows[best]))
            best = i;
    }
    return best;
}

static void give_nearest(const struct sched_entry *entries, size_t n, struct room *room,
                         uint32_t *rows, bool only_short)
{
    room->prompt_rows = min_u32(room->prompt_rows, room->rows);
    while (room->prompt_rows > 0) {
        const size_t i = nearest_prompt(entries, n, rows, only_short);

        if (i == n)
            break;
        give_prompt(&entries[i], &rows[i], room, room->prompt_rows);
    }
}

static void plan_prompts(const struct sched_entry *entries, size_t n, struct room *room,
                         uint32_t *rows)
{
    size_t i = oldest_prompt(entries, n);

    room->prompt_rows = min_u32(room->prompt_rows, room->rows);
    if (i < n && room->prompt_rows > 0)
        give_prompt(&entries[i], &rows[i], room,
                    (room->prompt_rows + OLDEST_SHARE - 1) / OLDEST_SHARE);
    give_nearest(entries, n, room, rows, false);
}

/* What a step may hold of short prompts beyond its share of all prompts. */
static void plan_short_prompts(const struct sched_entry *entries, size_t n, uint32_t max_rows,
                               struct room *room, uint32_t *rows)
{
    uint32_t n_given = 0;

    for (size_t i = 0; i < n; i++)
        n_given += is_prompt(&entries[i]) ? rows[i] : 0;
    room->prompt_rows = max_rows > n_given ? max_rows - n_given : 0;
    give_nearest(entries, n, room, rows, true);
}

/* One guess for each stream in turn, so that none takes the room of all. */
static void plan_drafts(const struct sched_entry *entries, size_t n, struct room *room,
                        uint32_t *rows)
{
    bool gave = true;

    while (gave && room->rows > 0 && room->logit_rows > 0) {
        gave = false;
        for (size_t i = 0; i < n && room->rows > 0 && room->logit_rows > 0; i++) {
            if (!is_decode(&entries[i]) || rows[i] == 0 || rows[i] > entries[i].n_drafts)
                continue;
            give(room, &rows[i], 1);
            room->logit_rows--;
            gave = true;
        }
    }
}

uint32_t sched_plan(const struct sched_entry *entries, size_t n, const struct sched_limits *limits,
                    uint32_t *ret_rows)
{
    struct room room = {
        .rows = limits->max_rows,
        .prompt_rows = limits->max_prompt_rows,
        .decodes = limits->max_decodes,
        .logit_rows = limits->max_logit_rows,
    };

    for (size_t i = 0; i < n; i++)
        ret_rows[i] = 0;
    plan_decodes(entries, n, &room, ret_rows);
    plan_prompts(entries, n, &room, ret_rows);
    plan_short_prompts(entries, n, limits->max_short_rows, &room, ret_rows);
    for (size_t i = 0; i < n; i++)
        room.logit_rows -= ret_rows[i] > 0 ? 1 : 0; /* for each span one at most */
    plan_drafts(entries, n, &room, ret_rows);
    return limits->max_rows - room.rows;
}
