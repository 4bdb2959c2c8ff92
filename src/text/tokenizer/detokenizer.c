/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/detokenizer.c - whole characters out of a stream of tokens.
 *
 * A token may end inside a character.  Its bytes are held until the next
 * tokens complete it, or until a byte comes that cannot: then what is held
 * becomes one U+FFFD and that byte begins anew, which is the replacement of
 * maximal subparts that decoders agree on.
 *
 * Source   The Unicode Standard 16.0, section 3.9, tables 3-7 and 3-8
 */
#include "text/tokenizer/tokenizer.h"

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

/* Bytes of the character that `lead` begins; 0 where none begins so. */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

/* May `byte` follow what is held?  Only the second byte has bounds of its
 * own: they keep out overlong forms, surrogates and what is past U+10FFFF. */
static bool continues(const struct detokenizer *d, unsigned char byte)
{
    unsigned char low = 0x80, high = 0xBF;

    if (d->n_held == 1) {
        switch (d->held[0]) {
        case 0xE0: low = 0xA0; break;
        case 0xED: high = 0x9F; break;
        case 0xF0: low = 0x90; break;
        case 0xF4: high = 0x8F; break;
        default: break;
        }
    }
    return byte >= low && byte <= high;
}

static void push_byte(struct detokenizer *d, unsigned char byte, struct buf *ret_text)
{
    if (d->n_held > 0 && !continues(d, byte))
        detokenizer_flush(d, ret_text);
    if (d->n_held == 0 && length_of(byte) == 0) {
        buf_puts(ret_text, replacement);
        return;
    }
    d->held[d->n_held++] = byte;
    if (d->n_held == length_of(d->held[0])) {
        buf_append(ret_text, d->held, d->n_held);
        d->n_held = 0;
    }
}

void detokenizer_init(struct detokenizer *d, const struct tokenizer *tokenizer)
{
    *d = (struct detokenizer){ .tokenizer = tokenizer };
}

void detokenizer_push(struct detokenizer *d, int32_t token, struct buf *ret_text)
{
    const char *bytes;
    size_t n;

    if (tokenizer_kind(d->tokenizer, token) == TOKEN_CONTROL)
        return;
    bytes = tokenizer_bytes(d->tokenizer, token, &n);
    for (size_t i = 0; i < n; i++)
        push_byte(d, (unsigned char)bytes[i], ret_text);
}

void detokenizer_flush(struct detokenizer *d, struct buf *ret_text)
{
    if (d->n_held > 0)
        buf_puts(ret_text, replacement);
    d->n_held = 0;
}
