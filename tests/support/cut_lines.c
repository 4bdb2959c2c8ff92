/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/cut_lines.c - a pre-tokenizer as a filter.
 *
 *   cut_lines NAME < records > records
 *
 * For each text it writes the lengths of its pieces, as uint32.
 */
#include "support/records.h"
#include "text/tokenizer/pre.h"

static void cut(const struct pre_tokenizer *pre, const struct buf *text, struct buf *ret_lengths)
{
    buf_clear(ret_lengths);
    for (size_t i = 0; i < text->len;) {
        const uint32_t n = (uint32_t)pre->cut(pre, text->data + i, text->len - i);

        buf_append(ret_lengths, &n, sizeof(n));
        i += n;
    }
}

int main(int argc, char **argv)
{
    const struct pre_tokenizer *pre = argc == 2 ? pre_tokenizer_find(argv[1]) : NULL;
    struct buf text = { 0 }, lengths = { 0 };

    if (!pre) {
        fprintf(stderr, "usage: cut_lines NAME, where NAME is a pre-tokenizer\n");
        return EXIT_FAILURE;
    }
    while (record_read(&text)) {
        cut(pre, &text, &lengths);
        record_write(buf_text(&lengths), lengths.len);
    }
    buf_release(&text);
    buf_release(&lengths);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
