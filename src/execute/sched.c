/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sched.c - what the next step computes: a decision without side effects. */
#include "execute/sched.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* What is left to give away. */
struct room {
    uint32_t rows, decodes, sequences, pages, logit_rows;
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

static void plan_prompts(const struct sched_entry *entries, size_t n, struct room *room,
                         uint32_t *rows)
{
    for (size_t i = 0; i < n && room->rows > 0; i++)
        if (entries[i].is_running && !is_decode(&entries[i]))
            give(room, &rows[i], min_u32(entries[i].n_pending, room->rows));
}

static void plan_admissions(const struct sched_entry *entries, size_t n, struct room *room,
                            uint32_t *rows)
{
    for (size_t i = 0; i < n && room->rows > 0; i++) {
        const struct sched_entry *e = &entries[i];

        if (e->is_running || e->n_pending == 0)
            continue;
        if (room->sequences == 0 || e->n_pages > room->pages)
            break;
        give(room, &rows[i], min_u32(e->n_pending, room->rows));
        room->pages -= e->n_pages;
        room->sequences--;
    }
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
        .decodes = limits->max_decodes,
        .sequences = limits->max_sequences,
        .pages = limits->n_free_pages,
        .logit_rows = limits->max_logit_rows,
    };

    for (size_t i = 0; i < n; i++) {
        ret_rows[i] = 0;
        room.sequences -= entries[i].is_running ? 1 : 0;
    }
    plan_decodes(entries, n, &room, ret_rows);
    plan_prompts(entries, n, &room, ret_rows);
    plan_admissions(entries, n, &room, ret_rows);
    for (size_t i = 0; i < n; i++)
        room.logit_rows -= ret_rows[i] > 0 ? 1 : 0; /* for each span one at most */
    plan_drafts(entries, n, &room, ret_rows);
    return limits->max_rows - room.rows;
}
