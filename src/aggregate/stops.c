/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/stops.c - finding stop strings in text that is still growing.
 *
 * Plain searching: at most 16 words of 256 bytes against the text of one
 * token and what was held before it.
 */
#include "aggregate/stops.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum status stops_init(struct stops *stops, const char *const *words, size_t n, struct err *err)
{
    *stops = (struct stops){ 0 };
    if (n == 0)
        return ST_OK;
    stops->words = calloc(n, sizeof(*stops->words));
    stops->lens = calloc(n, sizeof(*stops->lens));
    if (!stops->words || !stops->lens)
        goto no_memory;
    for (size_t i = 0; i < n; i++) {
        if (!words[i][0])
            continue;
        stops->words[stops->n] = strdup(words[i]);
        if (!stops->words[stops->n])
            goto no_memory;
        stops->lens[stops->n] = strlen(words[i]);
        stops->n++;
    }
    return ST_OK;

no_memory:
    stops_release(stops);
    return err_set(err, ST_NOMEM, "keep the stop strings");
}

void stops_release(struct stops *stops)
{
    for (size_t i = 0; i < stops->n; i++)
        free(stops->words[i]);
    free(stops->words);
    free(stops->lens);
    *stops = (struct stops){ 0 };
}

/* First place of `word` in `text`, or `n` where there is none. */
static size_t find(const char *text, size_t n, const char *word, size_t n_word)
{
    const char *at = text;

    while (n_word <= n - (size_t)(at - text)) {
        const size_t left = n - (size_t)(at - text) - n_word + 1;

        at = memchr(at, word[0], left);
        if (!at)
            return n;
        if (memcmp(at, word, n_word) == 0)
            return (size_t)(at - text);
        at++;
    }
    return n;
}

bool stops_find(const struct stops *stops, const char *text, size_t n, struct stop_match *ret)
{
    bool found = false;

    for (size_t i = 0; i < stops->n; i++) {
        const size_t start = find(text, n, stops->words[i], stops->lens[i]);
        const size_t end = start + stops->lens[i];

        if (start == n)
            continue;
        if (found && (end > ret->end || (end == ret->end && start >= ret->start)))
            continue;
        *ret = (struct stop_match){ start, end, stops->words[i] };
        found = true;
    }
    return found;
}

size_t stops_held(const struct stops *stops, const char *text, size_t n)
{
    size_t held = 0;

    for (size_t i = 0; i < stops->n; i++) {
        for (size_t len = size_min(stops->lens[i] - 1, n); len > held; len--) {
            if (memcmp(text + n - len, stops->words[i], len) == 0)
                held = len;
        }
    }
    return held;
}
