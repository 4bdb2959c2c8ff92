/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_log.c - any bytes as message, value and levels: a line stays one, JSON stays JSON.
 *
 * The first byte says how much room there is; message, value and levels are divided by newlines.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/size.h"
#include "drive.h"

static const char *const texts[] = {
    "\001it is over\nreq_1\ninfo,flow=debug",
    "\377a\" msg=\"\\ \033[2J\n\xff\xc2\x9b\xed\xa0\x80\nwarn,access=",
    "\020\xf0\x9f\x98\x80\n\xf4\x90\x80\x80\ndebug,x=y",
};
const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

/* Every line ends in one newline, and but for the journal's datagram has no other. */
static void check(enum log_format format, const char *line, size_t n, size_t room)
{
    json_t *json;

    must(n > 0 && n <= room && line[n - 1] == '\n');
    must(memchr(line, '\033', n) == NULL && memchr(line, '\0', n) == NULL);
    must(format == LOG_JOURNAL || memchr(line, '\n', n) == line + n - 1);
    if (format != LOG_JSON)
        return;
    json = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
    must(json_is_object(json) && json_is_string(json_object_get(json, "msg")));
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = calloc(n + 1, 1), line[LOG_LINE_MIN + 255 * 16], again[LOG_LEVELS_TEXT_MAX];
    const size_t room = LOG_LINE_MIN + (n > 0 ? data[0] : 0u) * 16u;
    char *rest = text, *part[3];
    struct log_levels levels;

    must(text != NULL);
    if (n > 1)
        memcpy(text, data + 1, n - 1);
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        part[i] = rest;
        rest += strcspn(rest, "\n");
        if (*rest)
            *rest++ = '\0';
    }
    for (enum log_format f = LOG_LOGFMT; f <= LOG_JOURNAL; f++) {
        const struct log_field fields[] = { log_text("error", part[1]), log_text("why", rest) };
        const struct log_event event = { .message = part[0], .fields = fields, .n_fields = 2 };

        check(f, line, log_render(f, &event, line, room), room);
    }
    if (log_levels_parse(part[2], &levels, NULL) == ST_OK) {
        log_levels_text(&levels, again);
        must(log_levels_parse(again, &levels, NULL) == ST_OK);
    }
    free(text);
    return 0;
}
