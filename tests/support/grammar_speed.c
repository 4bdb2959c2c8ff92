/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/grammar_speed.c - what a grammar costs a token, at a vocabulary of 128 thousand.
 *
 *     build/release/tests/support/grammar_speed
 *
 * A vocabulary of made-up words, pieces, numbers, punctuation and JSON's fragments; for each
 * grammar, documents are drawn token by token, uniformly among what the mask allows.  Printed: the
 * time of compiling, and of a token (mask and accepting it): the first document's mean, with all
 * masks still to be made, then median, mean and 99th percentile of the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "text/grammar/run.h"
#include "text/grammar/schema.h"

enum { N_TOKENS = 128000, WORD_MAX = 16, N_DOCUMENTS = 40, LENGTH_MAX = 300 };

static uint64_t seed = 20261126;

static unsigned draw(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (unsigned)(seed >> 33) % n;
}

static const char *const fragments[] = {
    "\"",     "\":", "\",",  "\"}",      "\"]",  "\"},",  "\":\"", "\",\"", "{\"",
    "[\"",    "},",  "],",   "}}",       "]}",   "{",     "}",     "[",     "]",
    ":",      ",",   ": ",   ", ",       "\n",   "\n\n",  " \"",   "\": ",  "\": \"",
    "\", \"", "  ",  "    ", "        ", "true", "false", "null",  "().",   "//",
    "==",     "->",  "\\\"", "\\n",      "\\u",  "...",   "---",
};

/* Words as languages have them: syllables, with or without a blank, and some bytes of UTF-8. */
static void make_token(unsigned i, char *ret)
{
    static const char *const syllables[] = {
        "a",   "e",   "in",  "er", "on",       "re",       "th",           "st", "al",
        "ion", "ing", "tor", "ma", "ser",      "co",       "un",           "de", "pro",
        "ly",  "ch",  "es",  "or", "\xC3\xA9", "\xD0\xB0", "\xE4\xB8\xAD", "ti", "li",
    };
    const unsigned n = 1 + draw(5);
    size_t len = 0;

    if (i < 256) {
        ret[0] = (char)i;
        return;
    }
    if (i - 256 < sizeof(fragments) / sizeof(fragments[0])) {
        snprintf(ret, WORD_MAX, "%s", fragments[i - 256]);
        return;
    }
    if (draw(20) == 0) {
        snprintf(ret, WORD_MAX, "%u", draw(1000));
        return;
    }
    if (draw(2))
        ret[len++] = ' ';
    for (unsigned k = 0; k < n && len < WORD_MAX - 5; k++)
        len += (size_t)snprintf(ret + len, WORD_MAX - len, "%s",
                                syllables[draw(sizeof(syllables) / sizeof(syllables[0]))]);
    if (draw(30) == 0)
        snprintf(ret + len, WORD_MAX - len, "%s", draw(2) ? "\"" : ",");
}

static struct grammar_vocab *make_vocab(void)
{
    char(*bytes)[WORD_MAX] = calloc(N_TOKENS, WORD_MAX);
    struct vocab_token *tokens = calloc(N_TOKENS, sizeof(*tokens));
    struct grammar_vocab *vocab = NULL;

    for (unsigned i = 0; bytes && tokens && i < N_TOKENS; i++) {
        make_token(i, bytes[i]);
        tokens[i] = (struct vocab_token){ bytes[i], i == 0 ? 1 : strlen(bytes[i]), true };
    }
    if (!bytes || !tokens || grammar_vocab_new(tokens, N_TOKENS, &vocab, NULL) != ST_OK)
        abort();
    free(bytes);
    free(tokens);
    return vocab;
}

/* One of the allowed tokens; -1: there is none. */
static int choose(const uint32_t *mask)
{
    const unsigned begin = draw(N_TOKENS);

    for (unsigned i = 0; i < N_TOKENS; i++) {
        const unsigned t = (begin + i) % N_TOKENS;

        if (mask[t / 32] >> t % 32 & 1)
            return (int)t;
    }
    return -1;
}

static int by_time(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* A document; returns how many tokens, with the microseconds of each. */
static size_t write_document(struct grammar_run *run, const struct grammar_vocab *v, double *us)
{
    struct grammar_state state;
    size_t n = 0;

    grammar_run_make_room(run);
    grammar_state_init(run, &state);
    while (n < LENGTH_MAX && !grammar_state_must_end(run, &state)) {
        const uint32_t *mask;
        uint64_t at = clock_ns();
        int token;

        if (grammar_state_mask(run, &state, &mask, NULL) != ST_OK)
            abort();
        us[n] = (double)(clock_ns() - at) / 1e3;
        token = choose(mask);
        if (token < 0)
            break;
        at = clock_ns();
        if (!grammar_state_accept(run, &state, v->bytes + v->offsets[token],
                                  v->offsets[token + 1] - v->offsets[token]))
            abort();
        us[n++] += (double)(clock_ns() - at) / 1e3;
    }
    return n;
}

static double mean(const double *us, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += us[i];
    return n > 0 ? sum / (double)n : 0;
}

static void measure(const char *name, const char *text, const struct grammar_vocab *v)
{
    static double us[N_DOCUMENTS * LENGTH_MAX];
    struct err err = { 0 };
    const uint64_t begin = clock_ns();
    struct grammar *g;
    struct grammar_run *run;
    double first_us;
    size_t n = 0;

    if (grammar_compile(text, strlen(text), v->usable, &g, &err) != ST_OK ||
        grammar_run_new(g, v, &run, &err) != ST_OK) {
        fprintf(stderr, "%s: %s\n", name, err.words);
        exit(1);
    }
    printf("%-28s %8.2f", name, (double)(clock_ns() - begin) / 1e6);
    n = write_document(run, v, us);
    first_us = mean(us, n);
    n = 0;
    for (int i = 0; i < N_DOCUMENTS; i++)
        n += write_document(run, v, us + n);
    qsort(us, n, sizeof(*us), by_time);
    printf(" %10.1f %10.2f %10.2f %10.1f %8zu\n", first_us, us[n / 2], mean(us, n),
           us[n * 99 / 100], n);
    grammar_run_free(run);
}

static void measure_schema(const char *name, const char *schema, const struct grammar_vocab *v)
{
    json_t *json = json_loads(schema, JSON_DECODE_ANY, NULL);
    struct buf text = { 0 };
    struct err err = { 0 };

    grammar_json_rules(&text);
    if (schema_rules(json, "root", &text, &err) != ST_OK) {
        fprintf(stderr, "%s: %s\n", name, err.words);
        exit(1);
    }
    measure(name, buf_text(&text), v);
    buf_release(&text);
    json_decref(json);
}

int main(void)
{
    const uint64_t begin = clock_ns();
    struct grammar_vocab *v = make_vocab();

    printf("%d tokens, %u nodes of their tree, made in %.0f ms\n\n", N_TOKENS, v->n_nodes,
           (double)(clock_ns() - begin) / 1e6);
    printf("%-28s %8s %10s %10s %10s %10s %8s\n", "", "compile", "first doc", "median", "mean",
           "p99", "tokens");
    printf("%-28s %8s %10s %10s %10s %10s\n", "", "ms", "us/token", "us/token", "us/token",
           "us/token");
    measure_schema("any JSON", "true", v);
    measure_schema("a person",
                   "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":"
                   "{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},\"email\":{\"type\":"
                   "\"string\",\"format\":\"email\"},\"tags\":{\"type\":\"array\",\"items\":"
                   "{\"type\":\"string\"}}},\"required\":[\"name\",\"age\",\"tags\"]}",
                   v);
    measure_schema(
        "strings of at most 200",
        "{\"type\":\"array\",\"minItems\":5,\"maxItems\":9,\"items\":{\"type\":\"string\","
        "\"maxLength\":200}}",
        v);
    measure_schema("a recursive tree",
                   "{\"$defs\":{\"t\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":"
                   "\"string\"},\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/t\"}}},"
                   "\"required\":[\"v\",\"kids\"]}},\"$ref\":\"#/$defs/t\"}",
                   v);
    measure("an expression", "root ::= ([a-z]+ \" \"){20} \"end\"", v);
    measure("any text", "root ::= .*", v);
    grammar_vocab_free(v);
    return 0;
}
