/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/logprobs.c - log probabilities as most APIs write them, a list of objects.
 *
 * Source: OpenAI API reference, "Chat completions": logprobs
 */
#include "gateway/dialect/logprobs.h"

#include "gateway/http/json_out.h"

static void write_candidate(const struct reply_candidate *c, struct buf *out)
{
    buf_puts(out, "{\"token\":");
    json_out_string(out, c->bytes, c->n_bytes);
    buf_puts(out, ",\"logprob\":");
    json_out_logprob(out, c->logprob);
    buf_puts(out, ",\"bytes\":[");
    for (size_t i = 0; i < c->n_bytes; i++)
        buf_printf(out, i ? ",%u" : "%u", (unsigned char)c->bytes[i]);
    buf_putc(out, ']'); /* the object stays open: a chosen token has one key more */
}

void logprobs_collect(struct answer_choice *c, const struct reply_logprob *logprobs, size_t n)
{
    struct buf *out = &c->logprobs[0];

    for (size_t i = 0; i < n; i++) {
        if (out->len > 0)
            buf_putc(out, ',');
        write_candidate(&logprobs[i].chosen, out);
        buf_puts(out, ",\"top_logprobs\":[");
        for (size_t k = 0; k < logprobs[i].n_top; k++) {
            if (k > 0)
                buf_putc(out, ',');
            write_candidate(&logprobs[i].top[k], out);
            buf_putc(out, '}');
        }
        buf_puts(out, "]}");
    }
}
