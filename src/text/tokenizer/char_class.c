/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/char_class.c - classes by utf8proc, completed to Unicode 16.
 *
 * A model was trained with the tables of one Unicode version and the library
 * at hand may be older, so a letter it calls unassigned would be cut
 * differently.  What is newer than Unicode 15.0 stands here; it is asked only
 * for characters the library does not know.
 */
#include "text/tokenizer/char_class.h"

#include <stdbool.h>
#include <utf8proc.h>

#include "base/size.h"

static const struct newer {
    utf8proc_int32_t first, last;
    enum char_class class;
} newer[] = {
    /* Source: UnicodeData.txt of Unicode 15.1 and 16.0, general categories L* and N*. */
    { 0x01C89, 0x01C8A, CHAR_LETTER }, { 0x0A7CB, 0x0A7CD, CHAR_LETTER },
    { 0x0A7DA, 0x0A7DC, CHAR_LETTER }, { 0x105C0, 0x105F3, CHAR_LETTER },
    { 0x10D40, 0x10D49, CHAR_NUMBER }, { 0x10D4A, 0x10D65, CHAR_LETTER },
    { 0x10D6F, 0x10D85, CHAR_LETTER }, { 0x10EC2, 0x10EC4, CHAR_LETTER },
    { 0x11380, 0x11389, CHAR_LETTER }, { 0x1138B, 0x1138B, CHAR_LETTER },
    { 0x1138E, 0x1138E, CHAR_LETTER }, { 0x11390, 0x113B5, CHAR_LETTER },
    { 0x113B7, 0x113B7, CHAR_LETTER }, { 0x113D1, 0x113D1, CHAR_LETTER },
    { 0x113D3, 0x113D3, CHAR_LETTER }, { 0x116D0, 0x116E3, CHAR_NUMBER },
    { 0x11BC0, 0x11BE0, CHAR_LETTER }, { 0x11BF0, 0x11BF9, CHAR_NUMBER },
    { 0x13460, 0x143FA, CHAR_LETTER }, { 0x16100, 0x1611D, CHAR_LETTER },
    { 0x16130, 0x16139, CHAR_NUMBER }, { 0x16D40, 0x16D6C, CHAR_LETTER },
    { 0x16D70, 0x16D79, CHAR_NUMBER }, { 0x18CFF, 0x18CFF, CHAR_LETTER },
    { 0x1CCF0, 0x1CCF9, CHAR_NUMBER }, { 0x1E5D0, 0x1E5ED, CHAR_LETTER },
    { 0x1E5F0, 0x1E5F0, CHAR_LETTER }, { 0x1E5F1, 0x1E5FA, CHAR_NUMBER },
    { 0x2EBF0, 0x2EE5D, CHAR_LETTER },
};

static enum char_class class_of_newer(utf8proc_int32_t c)
{
    for (size_t i = 0; i < ARRAY_LEN(newer); i++)
        if (c >= newer[i].first && c <= newer[i].last)
            return newer[i].class;
    return CHAR_OTHER;
}

/* Source: PropList.txt of Unicode 16.0, White_Space. */
static bool is_space(utf8proc_int32_t c)
{
    if (c >= 0x2000)
        return c <= 0x200A || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
               c == 0x3000;
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680;
}

static enum char_class class_of_ascii(unsigned char c)
{
    if ((unsigned)(c | 0x20) - 'a' < 26)
        return CHAR_LETTER;
    if ((unsigned)c - '0' < 10)
        return CHAR_NUMBER;
    return is_space(c) ? CHAR_SPACE : CHAR_OTHER;
}

enum char_class char_class_at(const char *text, size_t n, size_t *ret_length)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_category_t category;
    utf8proc_ssize_t length;
    utf8proc_int32_t c;

    *ret_length = 1;
    if (bytes[0] < 0x80)
        return class_of_ascii(bytes[0]);
    length = utf8proc_iterate(bytes, (utf8proc_ssize_t)n, &c);
    if (length <= 0)
        return CHAR_OTHER;

    *ret_length = (size_t)length;
    if (is_space(c))
        return CHAR_SPACE;
    category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO)
        return CHAR_LETTER;
    if (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO)
        return CHAR_NUMBER;
    return category == UTF8PROC_CATEGORY_CN ? class_of_newer(c) : CHAR_OTHER;
}
