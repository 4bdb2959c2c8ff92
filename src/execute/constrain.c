/* SPDX-License-Identifier: Apache-2.0 */
/* execute/constrain.c - answers that obey a grammar, token by token. */
#include "execute/constrain.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct constrained {
    XXH128_hash_t key; /* of its text */
    char *text;
    struct grammar_run *run;
    unsigned n_users;
    uint64_t used; /* when it was last, as a count of joins */
    struct constrained *next;
};

struct constrainer {
    const struct grammar_vocab *vocab;
    struct constrained *first;
    uint64_t n_joins;
    uint32_t *mask; /* [n_words] */
    uint32_t n_words;
};

enum status constrainer_new(const struct grammar_vocab *vocab, struct constrainer **ret_constrainer,
                            struct err *err)
{
    struct constrainer *c = calloc(1, sizeof(*c));

    if (c) {
        c->vocab = vocab;
        c->n_words = (vocab->n_tokens + 31) / 32;
        c->mask = calloc(c->n_words, sizeof(*c->mask));
    }
    if (!c || !c->mask) {
        constrainer_free(c);
        return err_set(err, ST_NOMEM, "grammars over %u tokens", vocab->n_tokens);
    }
    *ret_constrainer = c;
    return ST_OK;
}

static void free_one(struct constrained *of)
{
    grammar_run_free(of->run);
    free(of->text);
    free(of);
}

void constrainer_free(struct constrainer *c)
{
    if (!c)
        return;
    while (c->first) {
        struct constrained *of = c->first;

        c->first = of->next;
        free_one(of);
    }
    free(c->mask);
    free(c);
}

/* Of those that nobody uses, the one that was used longest ago goes where there are too many. */
static void forget(struct constrainer *c)
{
    struct constrained **oldest = NULL;
    unsigned n_idle = 0;

    for (struct constrained **at = &c->first; *at; at = &(*at)->next) {
        if ((*at)->n_users > 0)
            continue;
        n_idle++;
        if (!oldest || (*at)->used < (*oldest)->used)
            oldest = at;
    }
    if (n_idle > RUNS_IDLE) {
        struct constrained *of = *oldest;

        *oldest = of->next;
        free_one(of);
    }
}

static XXH128_hash_t hash(const char *text)
{
    return XXH3_128bits(text, strlen(text));
}

/* The texts are compared, too: who made two of one hash would have others' answers obey his. */
static struct constrained *find(const struct constrainer *c, const char *text)
{
    const XXH128_hash_t key = hash(text);
    struct constrained *of = c->first;

    while (of && !(XXH128_isEqual(of->key, key) && strcmp(of->text, text) == 0))
        of = of->next;
    return of;
}

bool constrainer_knows(const struct constrainer *c, const char *grammar)
{
    return find(c, grammar) != NULL;
}

enum status constrainer_adopt(struct constrainer *c, const char *grammar, struct grammar_run *run,
                              struct err *err)
{
    struct constrained *of = calloc(1, sizeof(*of));
    char *text = strdup(grammar);

    if (!of || !text) {
        free(of);
        free(text);
        grammar_run_free(run);
        return err_set(err, ST_NOMEM, "a grammar");
    }
    *of = (struct constrained){
        .key = hash(text), .text = text, .run = run, .used = ++c->n_joins, .next = c->first
    };
    c->first = of;
    forget(c); /* whom it was made for may be gone */
    return ST_OK;
}

static enum status compile(struct constrainer *c, const char *text, struct err *err)
{
    struct grammar *grammar;
    struct grammar_run *run;
    enum status s = grammar_compile(text, strlen(text), c->vocab->usable, &grammar, err);

    if (s == ST_OK)
        s = grammar_run_new(grammar, c->vocab, &run, err);
    return s == ST_OK ? constrainer_adopt(c, text, run, err) : s;
}

static enum status take_up(struct constrainer *c, const char *text, struct constrained **ret,
                           struct err *err)
{
    struct constrained *of = find(c, text);
    enum status s = ST_OK;

    if (!of)
        s = compile(c, text, err);
    if (s != ST_OK)
        return s;
    of = of ? of : c->first;
    of->n_users++;
    of->used = ++c->n_joins;
    *ret = of;
    return ST_OK;
}

/* How much of the trigger its first i + 1 bytes end with again (Knuth, Morris and Pratt 1977). */
static void fill_borders(struct constraint *k)
{
    size_t n = 0;

    k->borders[0] = 0;
    for (size_t i = 1; i < k->n_trigger; i++) {
        while (n > 0 && k->trigger[n] != k->trigger[i])
            n = k->borders[n - 1];
        n += k->trigger[n] == k->trigger[i] ? 1 : 0;
        k->borders[i] = (uint16_t)n;
    }
}

enum status constraint_join(struct constrainer *c, const char *grammar, const char *trigger,
                            struct constraint *ret_constraint, struct err *err)
{
    struct constraint k = { .is_stale = true };
    enum status s = take_up(c, grammar, &k.of, err);

    if (s != ST_OK)
        return s;
    if (trigger && trigger[0]) {
        k.n_trigger = strlen(trigger);
        k.trigger = strdup(trigger);
        k.borders = calloc(k.n_trigger, sizeof(*k.borders));
        if (!k.trigger || !k.borders) {
            constraint_leave(c, &k);
            return err_set(err, ST_NOMEM, "a grammar");
        }
        fill_borders(&k);
    }
    *ret_constraint = k;
    return ST_OK;
}

void constraint_leave(struct constrainer *c, struct constraint *k)
{
    if (!k->of)
        return;
    k->of->n_users--;
    free(k->trigger);
    free(k->borders);
    *k = (struct constraint){ 0 };
    forget(c);
}

static void begin(struct constraint *k)
{
    grammar_state_init(k->of->run, &k->state);
    k->is_waiting = k->trigger != NULL;
    k->n_matched = 0;
    k->is_stale = false;
}

/* The trigger is looked for.  Returns how many bytes were before its end: n where it is not
 * there. */
static size_t look(struct constraint *k, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        while (k->n_matched > 0 && k->trigger[k->n_matched] != bytes[i])
            k->n_matched = k->borders[k->n_matched - 1];
        k->n_matched += k->trigger[k->n_matched] == bytes[i] ? 1 : 0;
        if (k->n_matched < k->n_trigger)
            continue;
        k->is_waiting = false;
        return i + 1;
    }
    return n;
}

bool constraint_push(struct constrainer *c, struct constraint *k, int32_t token)
{
    const struct grammar_vocab *v = c->vocab;
    struct constraint after = *k;
    size_t n, n_free = 0;
    const char *bytes;

    if (token < 0 || (uint32_t)token >= v->n_tokens)
        return false;
    bytes = v->bytes + v->offsets[token];
    n = v->offsets[token + 1] - v->offsets[token];
    if (k->is_waiting)
        n_free = look(&after, bytes, n);
    if (!after.is_waiting &&
        !grammar_state_accept(k->of->run, &after.state, bytes + n_free, n - n_free))
        return false;
    *k = after;
    return true;
}

enum status constraint_freshen(struct constrainer *c, struct constraint *k, const int32_t *answer,
                               size_t n, struct err *err)
{
    grammar_run_make_room(k->of->run);
    if (!k->is_stale && !grammar_state_is_stale(k->of->run, &k->state))
        return ST_OK;
    begin(k);
    for (size_t i = 0; i < n; i++)
        if (!constraint_push(c, k, answer[i]))
            return err_set(err, ST_FORMAT, "the answer so far is none that its grammar allows");
    return ST_OK;
}

size_t constraint_count(struct constrainer *c, const struct constraint *k, const int32_t *tokens,
                        size_t n)
{
    struct constraint at = *k;
    size_t i = 0;

    while (i < n && constraint_push(c, &at, tokens[i]))
        i++;
    return i;
}

bool constraint_must_end(const struct constraint *k)
{
    return !k->is_waiting && grammar_state_must_end(k->of->run, &k->state);
}

bool constraint_may_end(const struct constraint *k)
{
    return k->is_waiting || grammar_state_may_end(k->of->run, &k->state);
}

enum status constraint_mask(struct constrainer *c, const struct constraint *k, const int32_t *stops,
                            size_t n_stops, uint32_t **ret_mask, struct err *err)
{
    const bool may_end = constraint_may_end(k);
    const uint32_t *mask;
    enum status s;

    *ret_mask = c->mask;
    if (k->is_waiting) {
        memset(c->mask, 0xFF, c->n_words * sizeof(*c->mask));
        return ST_OK;
    }
    s = grammar_state_mask(k->of->run, &k->state, &mask, err);
    if (s != ST_OK)
        return s;
    memcpy(c->mask, mask, c->n_words * sizeof(*c->mask));
    for (size_t i = 0; i < n_stops; i++) {
        if (stops[i] < 0 || (uint32_t)stops[i] >= c->vocab->n_tokens)
            continue;
        if (may_end)
            c->mask[stops[i] / 32] |= 1u << stops[i] % 32;
        else
            c->mask[stops[i] / 32] &= ~(1u << stops[i] % 32);
    }
    return ST_OK;
}
