/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/render_template.c - the template interpreter as a filter.
 *
 *   render_template < lines > lines
 *
 * A line in is {"template": text, "trusted": {...}, "variables": {...}}; the
 * line out is {"text": text, "trusted_mask": "0101..."}, a digit a byte of
 * text, or {"status": words, "error": words}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template/template.h"

static json_t *error_json(enum status s, const struct err *err)
{
    return json_pack("{s:s, s:s}", "status", status_words(s), "error", err->words);
}

static json_t *rendered_json(struct rendered *rendered)
{
    for (size_t i = 0; i < rendered->trusted.len; i++)
        rendered->trusted.data[i] = rendered->trusted.data[i] ? '1' : '0';
    return json_pack("{s:s%, s:s%}", "text", buf_text(&rendered->text), rendered->text.len,
                     "trusted_mask", buf_text(&rendered->trusted), rendered->trusted.len);
}

static json_t *render(const json_t *job)
{
    const json_t *source = json_object_get(job, "template");
    struct rendered rendered = { 0 };
    struct template *template = NULL;
    struct err err = { 0 };
    json_t *answer;
    enum status s =
        template_parse(json_string_value(source), json_string_length(source), &template, &err);

    if (s == ST_OK)
        s = template_render(template, json_object_get(job, "trusted"),
                            json_object_get(job, "variables"), &rendered, &err);
    answer = s == ST_OK ? rendered_json(&rendered) : error_json(s, &err);
    rendered_release(&rendered);
    template_free(template);
    return answer;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;

    while (getline(&line, &capacity, stdin) > 0) {
        json_error_t error;
        json_t *job = json_loads(line, JSON_ALLOW_NUL, &error);
        json_t *answer;

        if (!json_is_string(json_object_get(job, "template"))) {
            fprintf(stderr, "not a job: %s\n", error.text);
            return EXIT_FAILURE;
        }
        answer = render(job);
        if (!answer || json_dumpf(answer, stdout, JSON_COMPACT) != 0) {
            fprintf(stderr, "an answer cannot be written\n");
            return EXIT_FAILURE;
        }
        putchar('\n');
        json_decref(answer);
        json_decref(job);
    }
    free(line);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
