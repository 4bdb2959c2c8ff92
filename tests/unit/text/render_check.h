/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/render_check.h - render a template in one line of a test. */
#ifndef POMONA_TESTS_UNIT_TEXT_RENDER_CHECK_H
#define POMONA_TESTS_UNIT_TEXT_RENDER_CHECK_H

#include "support/check.h"

#include <string.h>

#include "text/template/template.h"

/* variables  JSON text of an object, NULL for none */
static inline enum status render(const char *source, size_t n_source, const char *trusted,
                                 const char *variables, struct rendered *ret, struct err *err)
{
    json_t *of_template = trusted ? json_loads(trusted, 0, NULL) : NULL;
    json_t *of_request = variables ? json_loads(variables, 0, NULL) : NULL;
    struct template *template = NULL;
    enum status s = template_parse(source, n_source, &template, err);

    assert_true(!trusted || of_template);
    assert_true(!variables || of_request);
    if (s == ST_OK)
        s = template_render(template, of_template, of_request, ret, err);
    template_free(template);
    json_decref(of_template);
    json_decref(of_request);
    return s;
}

static inline void assert_renders(const char *source, const char *variables, const char *text)
{
    struct rendered got = { 0 };
    struct err err = { 0 };

    assert_ok(render(source, strlen(source), NULL, variables, &got, &err), err);
    assert_string_equal(buf_text(&got.text), text);
    assert_int_equal(got.text.len, got.trusted.len);
    rendered_release(&got);
}

/* `words` is part of the message. */
static inline void assert_fails(const char *source, const char *variables, enum status status,
                                const char *words)
{
    struct rendered got = { 0 };
    struct err err = { 0 };
    enum status s = render(source, strlen(source), NULL, variables, &got, &err);

    if (s != status)
        fail_msg("%s: %s (%s), not %s", source, status_words(s), err.words, status_words(status));
    if (!strstr(err.words, words))
        fail_msg("%s: '%s' is not in '%s'", source, words, err.words);
    assert_null(got.text.data);
}

#endif
