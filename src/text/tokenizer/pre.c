/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/pre.c - the table of pre-tokenizers.
 *
 * To add one: a row; where its expression has another shape than those here,
 * also a cut function.  Give it a case in tests/integration/test_tokenizer.py,
 * which holds every row against the expression it stands for.
 *
 *   GPT-2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   Llama 3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
 *             ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *
 * Source   the GPT-2 release, encoder.py; the Llama 3 release, tokenizer.py;
 *          tokenizer.json of SmolLM2: each \p{N} alone, then GPT-2's
 */
#include "text/tokenizer/pre.h"

#include <stdint.h>
#include <string.h>

#include "base/size.h"
#include "text/tokenizer/char_class.h"

static bool is_newline(char c)
{
    return c == '\r' || c == '\n';
}

/* The end of the characters of `class` from `from` on, at most `max` of them. */
static size_t run_end(const char *text, size_t n, size_t from, enum char_class class, size_t max)
{
    size_t length;

    for (; from < n && max > 0 && char_class_at(text + from, n - from, &length) == class; max--)
        from += length;
    return from;
}

/* 's 't 'm 'd 're 've 'll, or 0. */
static size_t contraction(const char *text, size_t n)
{
    static const char two_letters[][2] = { { 'r', 'e' }, { 'v', 'e' }, { 'l', 'l' } };

    if (n < 2 || text[0] != '\'')
        return 0;
    if (text[1] == 's' || text[1] == 't' || text[1] == 'm' || text[1] == 'd')
        return 2;
    for (size_t i = 0; n >= 3 && i < ARRAY_LEN(two_letters); i++)
        if (memcmp(text + 1, two_letters[i], 2) == 0)
            return 3;
    return 0;
}

/* The same in either case; what folds to 's' beyond ASCII is U+017F alone
 * (CaseFolding.txt, status C). */
static size_t folded_contraction(const char *text, size_t n)
{
    char folded[3];
    const size_t n_folded = size_min(n, sizeof(folded));

    if (n >= 3 && memcmp(text, "'\xC5\xBF", 3) == 0)
        return 3;
    for (size_t i = 0; i < n_folded; i++)
        folded[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 'a' - 'A' : text[i]);
    return contraction(folded, n_folded);
}

/* \s+(?!\S)|\s+  All of the whitespace where nothing follows it; otherwise all
 * but its last character, which belongs to what follows. */
static size_t cut_space(const struct pre_tokenizer *pre, const char *text, size_t n)
{
    size_t end = 0, last = 0, length;
    enum char_class class = CHAR_SPACE;

    while (end < n) {
        class = char_class_at(text + end, n - end, &length);
        if (class != CHAR_SPACE)
            break;
        last = end;
        end += length;
    }
    if (end == n || (class == CHAR_NUMBER && pre->numbers_apart))
        return end;
    return last > 0 ? last : end;
}

static size_t cut_gpt2(const struct pre_tokenizer *pre, const char *text, size_t n)
{
    const size_t n_contraction = contraction(text, n);
    size_t length, lead = 0;
    enum char_class class;

    if (n_contraction > 0)
        return n_contraction;

    if (text[0] == ' ' && n > 1) {
        class = char_class_at(text + 1, n - 1, &length);
        lead = class != CHAR_SPACE && !(class == CHAR_NUMBER && pre->numbers_apart);
    }
    class = char_class_at(text + lead, n - lead, &length);
    if (class == CHAR_SPACE)
        return cut_space(pre, text, n);
    return run_end(text, n, lead, class, class == CHAR_NUMBER ? pre->max_numbers : SIZE_MAX);
}

/* \s*[\r\n]+|\s+(?!\S)|\s+  Whitespace up to its last line break, if any. */
static size_t cut_lines(const struct pre_tokenizer *pre, const char *text, size_t n)
{
    size_t end = run_end(text, n, 0, CHAR_SPACE, SIZE_MAX);

    while (end > 0 && !is_newline(text[end - 1]))
        end--;
    return end > 0 ? end : cut_space(pre, text, n);
}

static size_t cut_llama3(const struct pre_tokenizer *pre, const char *text, size_t n)
{
    const size_t n_contraction = folded_contraction(text, n);
    enum char_class class, next = CHAR_SPACE;
    size_t length, next_length, end;

    if (n_contraction > 0)
        return n_contraction;

    class = char_class_at(text, n, &length);
    if (class == CHAR_LETTER || class == CHAR_NUMBER)
        return run_end(text, n, 0, class, class == CHAR_NUMBER ? pre->max_numbers : SIZE_MAX);

    if (length < n)
        next = char_class_at(text + length, n - length, &next_length);
    if (next == CHAR_LETTER && !is_newline(text[0]))
        return run_end(text, n, length, CHAR_LETTER, SIZE_MAX);
    if (class == CHAR_SPACE && !(text[0] == ' ' && next == CHAR_OTHER))
        return cut_lines(pre, text, n);

    end = run_end(text, n, text[0] == ' ', CHAR_OTHER, SIZE_MAX);
    while (end < n && is_newline(text[end]))
        end++;
    return end;
}

static const struct pre_tokenizer pre_tokenizers[] = {
    { .name = "smollm", .cut = cut_gpt2, .max_numbers = 1, .numbers_apart = true },
    { .name = "gpt-2", .cut = cut_gpt2, .max_numbers = SIZE_MAX },
    { .name = "default", .cut = cut_gpt2, .max_numbers = SIZE_MAX },
    { .name = "llama-bpe", .cut = cut_llama3, .max_numbers = 3, .known_whole = true },
};

const struct pre_tokenizer *pre_tokenizer_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(pre_tokenizers); i++)
        if (strcmp(pre_tokenizers[i].name, name) == 0)
            return &pre_tokenizers[i];
    return NULL;
}
