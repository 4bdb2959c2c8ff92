/* SPDX-License-Identifier: Apache-2.0 */
/* execute/fair.c - how much each tenant was served, in computed tokens. */
#include "execute/fair.h"

#include <assert.h>
#include <stdlib.h>

struct tenant {
    uint64_t id, served;
    uint32_t n_members; /* 0: only remembered */
};

struct fair {
    uint32_t n_tenants;
    uint64_t
        left_at; /* what the tenant that left last was served: where all start when none is here */
    struct tenant *tenants; /* [n_tenants] */
};

enum status fair_new(uint32_t max_members, struct fair **ret_fair, struct err *err)
{
    struct fair *f = calloc(1, sizeof(*f));

    if (f)
        f->tenants = calloc(max_members, sizeof(*f->tenants));
    if (!f || !f->tenants) {
        fair_free(f);
        return err_set(err, ST_NOMEM, "the accounts of %u tenants", max_members);
    }
    f->n_tenants = max_members;
    *ret_fair = f;
    return ST_OK;
}

void fair_free(struct fair *f)
{
    if (!f)
        return;
    free(f->tenants);
    free(f);
}

static uint64_t least_served(const struct fair *f)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < f->n_tenants; i++)
        if (f->tenants[i].n_members > 0 && f->tenants[i].served < least)
            least = f->tenants[i].served;
    return least == UINT64_MAX ? f->left_at : least;
}

/* The tenant's own place, or that of the one whose debt is least missed. */
static struct tenant *place_for(struct fair *f, uint64_t tenant)
{
    struct tenant *free_place = NULL;

    for (uint32_t i = 0; i < f->n_tenants; i++) {
        struct tenant *t = &f->tenants[i];

        if (t->id == tenant && (t->n_members > 0 || t->served > 0))
            return t;
        if (t->n_members == 0 && (!free_place || t->served < free_place->served))
            free_place = t;
    }
    assert(free_place); /* there are no more tenants than sequences */
    *free_place = (struct tenant){ .id = tenant };
    return free_place;
}

uint32_t fair_join(struct fair *f, uint64_t tenant)
{
    struct tenant *t = place_for(f, tenant);

    if (t->n_members == 0) {
        const uint64_t start = least_served(f);

        t->served = t->served > start ? t->served : start;
    }
    t->n_members++;
    return (uint32_t)(t - f->tenants);
}

void fair_leave(struct fair *f, uint32_t place)
{
    struct tenant *t = &f->tenants[place];

    assert(t->n_members > 0);
    if (--t->n_members == 0)
        f->left_at = t->served;
}

void fair_charge(struct fair *f, uint32_t place, uint64_t n_tokens)
{
    f->tenants[place].served += n_tokens;
}

uint64_t fair_served(const struct fair *f, uint32_t place)
{
    return f->tenants[place].served;
}
