/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/pre_tokenizer.c - which of text/tokenizer/pre.c tokenizer.json describes.
 *
 * A pre-tokenizer of the library is a list of steps.  Each is written here as a word, and the
 * words of a whole list are looked up:
 *   bytes          the byte alphabet, cut by GPT-2's expression
 *   bytes-whole    the byte alphabet alone
 *   digits         numerals, each alone
 *   split-NAME     the matches of an expression known below
 *
 * To add one: a row of known[], where it has a new expression also of expressions[].
 */
#include <string.h>

#include "base/size.h"
#include "model/convert/convert_priv.h"
#include "text/tokenizer/pre.h"

static const struct {
    const char *word, *expression;
} expressions[] = {
    { "split-gpt2",
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+" },
    { "split-llama3", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                      " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+" },
};

static const struct {
    const char *words, *name;
} known[] = {
    { "bytes ", "gpt-2" },
    { "split-gpt2 bytes-whole ", "gpt-2" },
    { "digits bytes ", "smollm" },
    { "split-llama3 bytes-whole ", "llama-bpe" },
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static const char *split_word(const json_t *step)
{
    const char *expression = text_of(json_object_get(step, "pattern"), "Regex");

    if (strcmp(text_of(step, "behavior"), "Isolated") != 0 ||
        json_is_true(json_object_get(step, "invert")))
        return "Split";
    for (size_t i = 0; i < ARRAY_LEN(expressions); i++)
        if (strcmp(expressions[i].expression, expression) == 0)
            return expressions[i].word;
    return "Split";
}

/* The word of a step; of one without, what the library calls it, which no row of known[] has. */
static const char *step_word(const json_t *step)
{
    const char *type = text_of(step, "type");

    if (strcmp(type, "Split") == 0)
        return split_word(step);
    if (strcmp(type, "Digits") == 0 && json_is_true(json_object_get(step, "individual_digits")))
        return "digits";
    if (strcmp(type, "ByteLevel") == 0 && !json_is_true(json_object_get(step, "add_prefix_space")))
        return json_is_false(json_object_get(step, "use_regex")) ? "bytes-whole" : "bytes";
    return type;
}

static void put_words(const json_t *pre, struct buf *words)
{
    const json_t *steps = json_object_get(pre, "pretokenizers"), *step;
    size_t i;

    if (!json_is_array(steps))
        buf_printf(words, "%.32s ", step_word(pre));
    json_array_foreach(steps, i, step) buf_printf(words, "%.32s ", step_word(step));
}

enum status convert_pre_tokenizer(const json_t *tokenizer, const char **ret_name, struct err *err)
{
    const bool ignores =
        json_is_true(json_object_get(json_object_get(tokenizer, "model"), "ignore_merges"));
    struct buf words = { 0 };
    enum status s = ST_OK;

    put_words(json_object_get(tokenizer, "pre_tokenizer"), &words);
    if (buf_status(&words) != ST_OK)
        s = err_set(err, ST_NOMEM, "no memory for its steps");
    for (size_t i = 0; i < ARRAY_LEN(known) && s == ST_OK; i++)
        if (strcmp(known[i].words, buf_text(&words)) == 0 &&
            pre_tokenizer_find(known[i].name)->known_whole == ignores) {
            *ret_name = known[i].name;
            goto out;
        }
    if (s == ST_OK)
        s = err_set(err, ST_UNSUPPORTED,
                    "its pre-tokenizer is '%.200s'%s, which this build does not know",
                    buf_text(&words), ignores ? " with ignore_merges" : "");
out:
    buf_release(&words);
    return s;
}
