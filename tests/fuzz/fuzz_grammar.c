/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_grammar.c - any bytes as a grammar, a schema and an expression are refused with words,
 * or compile.
 *
 * The libFuzzer program fuzz_grammar (clang, -DPOMONA_FUZZ=ON).  What a schema or an expression is
 * lowered to has to compile, unless it is too large or nothing satisfies it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/grammar/grammar.h"
#include "text/grammar/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void compile(const char *text, size_t n, const char *allowed_words)
{
    struct grammar *g = NULL;
    struct err err = { 0 };

    if (grammar_compile(text, n, NULL, &g, &err) != ST_OK &&
        (!err.words[0] ||
         (allowed_words && !strstr(allowed_words, "any") && !strstr(err.words, "too large") &&
          !strstr(err.words, "no text") && !strstr(err.words, "more than"))))
        abort();
    grammar_free(g);
}

static void lower(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    struct buf out = { 0 };
    struct err err = { 0 };

    grammar_json_rules(&out);
    if (json && schema_rules(json, "root", &out, &err) == ST_OK)
        compile(buf_text(&out), out.len, "bounds");
    else if (json && !err.words[0])
        abort();
    json_decref(json);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1);
    struct buf out = { 0 };

    if (!text)
        return 0;
    if (n > 0)
        memcpy(text, bytes, n);
    text[n] = '\0';
    compile(text, n, NULL);
    lower(text);
    if (regex_rules(text, "root", &out, NULL) == ST_OK)
        compile(buf_text(&out), out.len, "any");
    buf_release(&out);
    free(text);
    return 0;
}
