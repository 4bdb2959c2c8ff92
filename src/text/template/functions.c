/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/functions.c - the global functions.
 *
 * raise_exception and strftime_now are not Jinja's own: apply_chat_template()
 * of Hugging Face's transformers adds them, and templates rely on it.
 */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "text/template/eval.h"
#include "text/template/print.h"

enum { TIME_TEXT_MAX = 1024 };

/* range(stop), range(start, stop), range(start, stop, step) */
static enum status function_range(struct interp *in, const struct value *self,
                                  const struct arguments *a, struct value *ret)
{
    int64_t start = 0, stop, step, n;
    bool trusted = tmpl_trusted(&a->at[0]);
    struct list *list;
    enum status s = tmpl_arg_int(in, &a->at[0], 0, &stop);

    (void)self;
    if (s == ST_OK && a->at[1].type != VALUE_ABSENT) {
        start = stop;
        s = tmpl_arg_int(in, &a->at[1], 0, &stop);
        trusted = trusted && tmpl_trusted(&a->at[1]);
    }
    if (s == ST_OK)
        s = tmpl_arg_int(in, &a->at[2], 1, &step);
    if (s != ST_OK)
        return s;
    if (step == 0)
        return tmpl_error(in, ST_FORMAT, "the step of range() is zero");
    if (__builtin_sub_overflow(stop, start, &n) || (n != 0 && step == INT64_MIN))
        return tmpl_error(in, ST_RANGE, "range() is too long");
    n = (n > 0) == (step > 0) ? n / step + (n % step != 0) : 0;
    if (n > TMPL_RANGE_MAX)
        return tmpl_error(in, ST_RANGE, "range() is longer than %d", TMPL_RANGE_MAX);
    s = tmpl_list_new(in, (size_t)n, &list);
    for (size_t i = 0; s == ST_OK && i < list->n; i++)
        list->items[i] = value_int(start + (int64_t)i * step, trusted);
    if (s == ST_OK)
        *ret = value_list(VALUE_LIST, list);
    return s;
}

static enum status function_raise_exception(struct interp *in, const struct value *self,
                                            const struct arguments *a, struct value *ret)
{
    const struct str *words;
    enum status s = tmpl_to_str(in, &a->at[0], &words);

    (void)self;
    (void)ret;
    if (s != ST_OK)
        return s;
    return tmpl_error(in, ST_FORMAT, "%.*s",
                      (int)(words->n < ERR_WORDS_MAX ? words->n : ERR_WORDS_MAX), words->bytes);
}

/* The format comes from the template: the compiler cannot check it. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static size_t format_time(char text[TIME_TEXT_MAX], const char *format, const struct tm *tm)
{
    return strftime(text, TIME_TEXT_MAX, format, tm);
}
#pragma GCC diagnostic pop

/* strftime_now(format): the local time. */
static enum status function_strftime_now(struct interp *in, const struct value *self,
                                         const struct arguments *a, struct value *ret)
{
    const time_t now = (time_t)clock_unix_s();
    char text[TIME_TEXT_MAX];
    const struct str *format;
    struct builder b;
    struct tm tm;
    char *words;
    enum status s = tmpl_arg_str(in, &a->at[0], &format);

    (void)self;
    if (s != ST_OK)
        return s;
    words = tmpl_alloc(in, format->n + 1);
    if (!words)
        return tmpl_no_memory(in);
    memcpy(words, format->bytes, format->n);
    words[format->n] = '\0';
    if (!localtime_r(&now, &tm))
        return tmpl_error(in, ST_FORMAT, "the local time is not known");
    tmpl_build(&b, in);
    tmpl_build_bytes(&b, text, format_time(text, words, &tm), tmpl_str_is_trusted(format));
    return tmpl_build_finish(&b, ret);
}

/* Named arguments, behind the entries of a mapping. */
static enum status new_dict(struct interp *in, const struct arguments *a, enum value_type type,
                            struct value *ret)
{
    struct dict *dict;
    enum status s = tmpl_dict_new(in, &dict);

    if (s == ST_OK && (a->n > 1 || (a->n == 1 && a->at[0].type != VALUE_DICT)))
        s = tmpl_error(in, ST_UNSUPPORTED,
                       "dict() and namespace() take one mapping and named arguments");
    for (size_t i = 0; s == ST_OK && a->n == 1 && i < a->at[0].dict->n; i++)
        s = tmpl_dict_append(in, dict, &a->at[0].dict->entries[i].key,
                             &a->at[0].dict->entries[i].value);
    for (size_t i = 0; s == ST_OK && i < a->n_named; i++) {
        struct value key;

        s = tmpl_str_view(in, a->named[i].name, strlen(a->named[i].name), true, &key);
        if (s == ST_OK)
            s = tmpl_dict_put(in, dict, &key, &a->named[i].value);
    }
    if (s == ST_OK)
        *ret = (struct value){ .type = type, .dict = dict };
    return s;
}

static enum status function_namespace(struct interp *in, const struct value *self,
                                      const struct arguments *a, struct value *ret)
{
    (void)self;
    return new_dict(in, a, VALUE_NAMESPACE, ret);
}

static enum status function_dict(struct interp *in, const struct value *self,
                                 const struct arguments *a, struct value *ret)
{
    (void)self;
    return new_dict(in, a, VALUE_DICT, ret);
}

const struct builtin tmpl_functions[] = {
    { "range", function_range, 1, { "start", "stop", "step" } },
    { "raise_exception", function_raise_exception, 1, { "message" } },
    { "strftime_now", function_strftime_now, 1, { "format" } },
    { "namespace", function_namespace, 0, { "*" } },
    { "dict", function_dict, 0, { "*" } },
    { 0 },
};
