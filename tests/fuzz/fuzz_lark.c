/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_lark.c - any bytes as a Lark grammar are refused with words, or become rules that are a
 * grammar's; those compile, unless they are too large, nothing satisfies them, or they begin with themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "text/grammar/grammar.h"
#include "text/grammar/lark.h"
#include "text/grammar/schema.h"

static const char *const texts[] = {
    "start: head line+ tail\nhead: \"=== Patch\" LF\ntail: \"=== Done\" LF?\nline: (\"+\" | \"-\") /(.*)/ LF\n"
    "%import common.LF\n",
    "start: sum // all\n?sum: sum \"+\" product | product\n!product.2: product \"*\" atom -> times\n  | atom\n"
    "atom: NUMBER | NAME | \"(\" sum \")\"\n%import common (NUMBER, WS_INLINE)\n"
    "%import common.CNAME -> NAME\n%ignore WS_INLINE | /#.*/\n",
    "start: A~2 [B~1..3] # two\nA: \"a\"i | \"\\u00e9\"..\"\\U0001F600\"\nB: /[^x-z]\\/.{2,5}/s | \"\\n\\\"\\\\\"\n",
    "start: _a*\n_a: (\"x\" | _a2)+\n_a2: \"y\"? \"z\"\n",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static bool may_fail(const char *words)
{
    static const char *const reasons[] = { "too large", "no text",        "longer than",
                                           "more than", "left recursion", "repeats more" };

    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (strstr(words, reasons[i]))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    for (int place = LARK_ALONE; place <= LARK_IN_JSON; place++) {
        struct grammar *g = NULL;
        struct buf out = { 0 };
        struct err err = { 0 };

        if (lark_rules((const char *)bytes, n, "root", (enum lark_place)place, &out, &err) !=
            ST_OK) {
            if (!err.words[0] || out.len > 0)
                abort();
        } else if (grammar_compile(buf_text(&out), out.len, NULL, &g, &err) != ST_OK &&
                   !may_fail(err.words)) {
            abort();
        }
        grammar_free(g);
        buf_release(&out);
    }
    return 0;
}
