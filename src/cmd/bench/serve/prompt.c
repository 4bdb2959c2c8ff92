/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/prompt.c - words and arrival times drawn by number. */
#include "cmd/bench/serve/prompt.h"

#include <math.h>

#include "base/size.h"
#include "execute/sample/philox.h"

/* Most are one token of any vocabulary. */
static const char *const words[] = {
    "time",    "year",     "people", "way",     "day",    "man",      "thing",   "woman",
    "life",    "child",    "world",  "school",  "state",  "family",   "group",   "country",
    "problem", "hand",     "part",   "place",   "case",   "week",     "company", "system",
    "program", "question", "work",   "number",  "night",  "point",    "home",    "water",
    "room",    "mother",   "area",   "money",   "story",  "fact",     "month",   "right",
    "study",   "book",     "eye",    "job",     "word",   "business", "issue",   "side",
    "kind",    "head",     "house",  "service", "friend", "father",   "power",   "hour",
    "game",    "line",     "end",    "law",     "car",    "city",     "name",    "team",
};

enum { REQUEST_DRAWS = 1 << 20 }; /* numbers set aside for one request's words */

void prompt_words(struct buf *text, uint64_t seed, uint64_t number, uint32_t n_words)
{
    for (uint32_t i = 0; i < n_words; i++) {
        const double u = philox_uniform(seed, number * REQUEST_DRAWS + i);

        if (i > 0)
            buf_putc(text, ' ');
        buf_puts(text, words[(size_t)(u * (double)ARRAY_LEN(words))]);
    }
}

double prompt_arrival_s(uint64_t seed, uint64_t number, double rate)
{
    return -log1p(-philox_uniform(~seed, number)) / rate;
}
