/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/desired.c - records by name, the newest version of each. */
#include "cluster/state/desired.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void desired_release(struct desired *desired)
{
    for (size_t i = 0; i < desired->n; i++)
        free(desired->records[i].value);
    free(desired->records);
    *desired = (struct desired){ 0 };
}

int desired_version_compare(const struct desired_version *a, const struct desired_version *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* The place of `model`, or where it would go. */
static size_t place_of(const struct desired *desired, const char *model, bool *ret_is_there)
{
    size_t i = 0;

    while (i < desired->n && strcmp(desired->records[i].model, model) < 0)
        i++;
    *ret_is_there = i < desired->n && strcmp(desired->records[i].model, model) == 0;
    return i;
}

const struct desired_record *desired_find(const struct desired *desired, const char *model)
{
    bool is_there;
    const size_t at = place_of(desired, model, &is_there);

    return is_there ? &desired->records[at] : NULL;
}

size_t desired_n_placed(const struct desired *desired)
{
    size_t n = 0;

    for (size_t i = 0; i < desired->n; i++)
        n += desired->records[i].is_placed;
    return n;
}

/* The sum of the records' hashes: does not depend on their order, and a record
 * comes and goes without the others being looked at. */
static uint64_t hash_of(const struct desired_record *r)
{
    const uint64_t head[3] = { r->version.epoch, r->version.index, r->is_placed };
    uint64_t hash = XXH64(r->model, strlen(r->model), 0);

    hash = XXH64(head, sizeof(head), hash);
    return XXH64(r->value, r->n_value, hash);
}

static enum status check(const struct desired *desired, const struct desired_record *r,
                         const struct desired_record *known, struct err *err)
{
    if (!memchr(r->model, '\0', sizeof(r->model)) || r->model[0] == '\0' || r->version.epoch == 0 ||
        r->version.index == 0 || r->n_value > DESIRED_VALUE_MAX)
        return err_set(err, ST_RANGE, "a record of a placement is not one");
    if (r->is_placed && !(known && known->is_placed) &&
        desired_n_placed(desired) >= (size_t)2 * DESIRED_PLACED_MAX)
        return err_set(err, ST_FULL, "there are %d placements", 2 * DESIRED_PLACED_MAX);
    return ST_OK;
}

static void drop(struct desired *desired, size_t at)
{
    desired->digest -= hash_of(&desired->records[at]);
    free(desired->records[at].value);
    desired->n--;
    memmove(&desired->records[at], &desired->records[at + 1],
            (desired->n - at) * sizeof(*desired->records));
}

/* The oldest of the unplaced makes room. */
static void trim(struct desired *desired)
{
    size_t oldest = SIZE_MAX, n_unplaced = 0;

    for (size_t i = 0; i < desired->n; i++) {
        if (desired->records[i].is_placed)
            continue;
        n_unplaced++;
        if (oldest == SIZE_MAX || desired_version_compare(&desired->records[i].version,
                                                          &desired->records[oldest].version) < 0)
            oldest = i;
    }
    if (n_unplaced > DESIRED_UNPLACED_MAX)
        drop(desired, oldest);
}

static enum status make_room(struct desired *desired, struct err *err)
{
    const size_t capacity = desired->capacity ? desired->capacity * 2 : 8;
    struct desired_record *grown;

    if (desired->n < desired->capacity)
        return ST_OK;
    grown = realloc(desired->records, capacity * sizeof(*grown));
    if (!grown)
        return err_set(err, ST_NOMEM, "the records of placements");
    desired->records = grown;
    desired->capacity = capacity;
    return ST_OK;
}

static enum status put(struct desired *desired, size_t at, bool is_there,
                       const struct desired_record *record, struct err *err)
{
    struct desired_record copy = *record;
    const enum status s = is_there ? ST_OK : make_room(desired, err);

    if (s != ST_OK)
        return s;
    copy.value = malloc(record->n_value + 1);
    if (!copy.value)
        return err_set(err, ST_NOMEM, "the placement of '%s'", record->model);
    if (record->n_value > 0)
        memcpy(copy.value, record->value, record->n_value);
    if (is_there)
        drop(desired, at);
    memmove(&desired->records[at + 1], &desired->records[at],
            (desired->n - at) * sizeof(*desired->records));
    desired->records[at] = copy;
    desired->n++;
    desired->digest += hash_of(&copy);
    return ST_OK;
}

/* Where no quorum decides (election/succession.h), two sides of a cut may give one version to
 * two records: the contents then order them, the same way everywhere. */
static bool is_newer(const struct desired_record *a, const struct desired_record *b)
{
    const int order = desired_version_compare(&a->version, &b->version);

    if (order != 0)
        return order > 0;
    if (a->is_placed != b->is_placed)
        return a->is_placed;
    if (a->n_value != b->n_value)
        return a->n_value > b->n_value;
    return a->n_value > 0 && memcmp(a->value, b->value, a->n_value) > 0;
}

enum status desired_merge(struct desired *desired, const struct desired_record *record,
                          bool *ret_changed, struct err *err)
{
    bool is_there;
    size_t at;
    enum status s;

    if (!memchr(record->model, '\0', sizeof(record->model)))
        return err_set(err, ST_RANGE, "a record of a placement has no end of its name");
    at = place_of(desired, record->model, &is_there);
    if (is_there && !is_newer(record, &desired->records[at]))
        return ST_OK;
    s = check(desired, record, is_there ? &desired->records[at] : NULL, err);
    if (s == ST_OK)
        s = put(desired, at, is_there, record, err);
    if (s != ST_OK)
        return s;
    trim(desired);
    *ret_changed = true;
    return ST_OK;
}
