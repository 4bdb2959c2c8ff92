/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_grammar.c - any bytes as a grammar, a schema and an expression are refused with words,
 * or compile, and then run.
 *
 * What a schema or an expression is lowered to has to compile, unless it is too large or nothing
 * satisfies it.  A run obeys its own masks: what one allows is accepted, byte for byte, what it
 * does not allow is not; and random bytes do it no harm.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "text/grammar/grammar.h"
#include "text/grammar/run.h"
#include "text/grammar/schema.h"

enum { TOKENS_DRAWN = 24 };

static const char *const texts[] = {
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"maxLength\":9},\"b\":{\"type\":"
    "[\"integer\",\"null\"],\"minimum\":-3,\"maximum\":120}},\"required\":[\"a\"],"
    "\"additionalProperties\":{\"type\":\"boolean\"}}",
    "{\"anyOf\":[{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/x\"},\"minItems\":1,\"maxItems\":4},"
    "{\"enum\":[1,\"a\",null,[1,{\"b\":2.5}]]}],\"$defs\":{\"x\":{\"type\":\"object\",\"properties\":"
    "{\"n\":{\"$ref\":\"#/$defs/x\"},\"d\":{\"type\":\"string\",\"format\":\"date-time\"}}}}}",
    "{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"}},\"required\":[\"k\"]},"
    "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}]}",
    "{\"allOf\":[{\"type\":\"string\",\"pattern\":\"^(ab|c)+[^x-z]{2,5}$\"},{\"maxLength\":40}]}",
    "{\"type\":\"object\",\"patternProperties\":{\"^x-\":{\"type\":\"number\"}},\"minProperties\":1}",
    "{\"type\":\"array\",\"prefixItems\":[{\"type\":\"number\"},{\"const\":2}],\"items\":false}",
    "root ::= \"a\" (b | c)* [^x-z\\n]{2,5} # end\nb ::= \"b\"+ | [0-9]?\nc ::= \"(\" root \")\" .",
    "root ::= s\ns ::= \"(\" s \")\" s | \"x\" | \"\"\n",
    "root ::= json-value\njson-value ::= \"{\" (pair (\",\" pair)*)? \"}\" | \"\\\"\" [a-z]* \"\\\"\"\n"
    "pair ::= \"\\\"\" [a-z]{1,8} \"\\\":\" json-value\n",
    "(a|a)*b|((c*)*d){1,3}",
    "^[A-Za-z_]\\w{0,20}(\\.\\d+)?\\s*$",
    "\\u00e9+[\\x41-\\x5a\\-]|(?:x|y){2,}?",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

/* Every byte, and some longer tokens. */
static const struct grammar_vocab *vocab(void)
{
    static const char *const words[] = { "\",\"", "\":",  "{\"",      "}}",  "]",  "ab",   "abc",
                                         "true",  "null", "\xC3\xA9", "\n ", "((", "date", "00" };
    static char bytes[256];
    static struct grammar_vocab *v;
    struct vocab_token tokens[256 + ARRAY_LEN(words)];

    for (size_t i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        tokens[i] = (struct vocab_token){ &bytes[i], 1, true };
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        tokens[256 + i] = (struct vocab_token){ words[i], strlen(words[i]), true };
    if (!v && grammar_vocab_new(tokens, (uint32_t)ARRAY_LEN(tokens), &v, NULL) != ST_OK)
        abort();
    return v;
}

static bool try_token(struct grammar_run *run, struct grammar_state *state, size_t token)
{
    const struct grammar_vocab *v = vocab();

    return grammar_state_accept(run, state, v->bytes + v->offsets[token],
                                v->offsets[token + 1] - v->offsets[token]);
}

static void step(struct grammar_run *run, struct grammar_state *state, struct draws *d,
                 const uint32_t *mask, size_t *ret_n)
{
    const size_t n = vocab()->n_tokens, begin = draw(d, n);
    bool is_chosen = false;

    for (size_t i = 0; i < n; i++) {
        const size_t token = (begin + i) % n;
        struct grammar_state fork = *state;
        const bool is_allowed = mask[token / 32] >> token % 32 & 1;

        if (try_token(run, &fork, token) != is_allowed)
            abort();
        if (is_allowed && !is_chosen) {
            *state = fork;
            is_chosen = true;
            (*ret_n)++;
            return;
        }
        if (i == 8 && !is_allowed)
            i = n / 2; /* not each of those that are not */
    }
}

static void run_it(struct grammar *g, const uint8_t *bytes, size_t n)
{
    struct draws d = { n > 0 ? bytes[0] + n : 0 };
    struct grammar_run *run;
    struct grammar_state state;
    size_t n_drawn = 0;

    if (grammar_run_new(g, vocab(), &run, NULL) != ST_OK)
        abort();
    grammar_state_init(run, &state);
    for (size_t i = 0; i < n && i < 64; i++)
        (void)grammar_state_accept(run, &state, (const char *)bytes + i, 1);
    for (size_t i = 0; i < TOKENS_DRAWN && !grammar_state_must_end(run, &state); i++) {
        const uint32_t *mask;
        const size_t before = n_drawn;

        grammar_run_make_room(run);
        if (grammar_state_is_stale(run, &state) ||
            grammar_state_mask(run, &state, &mask, NULL) != ST_OK)
            break;
        step(run, &state, &d, mask, &n_drawn);
        if (n_drawn == before)
            break;
    }
    grammar_run_free(run);
}

static void compile(const char *text, size_t n, const uint8_t *bytes, size_t n_bytes,
                    bool has_to_compile)
{
    struct grammar *g = NULL;
    struct err err = { 0 };

    if (grammar_compile(text, n, NULL, &g, &err) == ST_OK) {
        run_it(g, bytes, n_bytes);
        return;
    }
    if (!err.words[0] ||
        (has_to_compile && !strstr(err.words, "too large") && !strstr(err.words, "no text") &&
         !strstr(err.words, "more than") && !strstr(err.words, "left recursion")))
        abort();
}

static void lower(const char *text, const uint8_t *bytes, size_t n)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    struct buf out = { 0 };
    struct err err = { 0 };

    grammar_json_rules(&out);
    if (json && schema_rules(json, "root", &out, &err) == ST_OK)
        compile(buf_text(&out), out.len, bytes, n, true);
    else if (json && !err.words[0])
        abort();
    json_decref(json);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1);
    struct buf out = { 0 };
    struct err err = { 0 };

    if (!text)
        return 0;
    if (n > 0)
        memcpy(text, bytes, n);
    text[n] = '\0';
    compile(text, n, bytes, n, false);
    lower(text, bytes, n);
    if (regex_rules(text, "root", &out, &err) == ST_OK)
        compile(buf_text(&out), out.len, bytes, n, true);
    else if (!err.words[0])
        abort();
    buf_release(&out);
    free(text);
    return 0;
}
