/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/options.c - read a command line by its table.
 *
 * Written out rather than getopt_long(): that prints its own words, permutes
 * argv, keeps global state, and knows neither kinds nor bounds.
 */
#include "cmd/options.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMN = 24 };

/* A place in argv. */
struct reader {
    const struct app *app;
    const struct usage *usage;
    int argc, at;
    char **argv;
};

static void help_row(const char *letter, const char *name, const char *value, const char *help)
{
    char left[64];
    int n;

    n = snprintf(left, sizeof(left), "  %s --%s%s%s", letter, name, value ? " " : "",
                 value ? value : "");
    if (n >= HELP_COLUMN)
        printf("%s\n%*s%s\n", left, HELP_COLUMN, "", help);
    else
        printf("%-*s%s\n", HELP_COLUMN, left, help);
}

static void help_show(const struct app *app, const struct usage *usage)
{
    printf("usage: %s %s [options]%s%s\n\n%s\n\noptions:\n", app->program, app->command,
           *usage->arguments ? " " : "", usage->arguments, usage->about);
    for (size_t i = 0; i < usage->n_rows; i++) {
        const struct option_row *row = &usage->rows[i];
        char letter[4] = { ' ', ' ', ' ', 0 };

        if (row->letter) {
            letter[0] = '-';
            letter[1] = row->letter;
            letter[2] = ',';
        }
        help_row(letter, row->name, row->value, row->help);
    }
    help_row("-h,", "help", NULL, "show this");
    if (!usage->examples)
        return;
    printf("\nexamples:\n");
    for (const char *const *e = usage->examples; *e; e++)
        printf("  %s %s%s%s\n", app->program, app->command, **e ? " " : "", *e);
}

static const struct option_row *row_by_name(const struct usage *usage, const char *name, size_t n)
{
    for (size_t i = 0; i < usage->n_rows; i++)
        if (strlen(usage->rows[i].name) == n && strncmp(usage->rows[i].name, name, n) == 0)
            return &usage->rows[i];
    return NULL;
}

static const struct option_row *row_by_letter(const struct usage *usage, char letter)
{
    for (size_t i = 0; i < usage->n_rows; i++)
        if (usage->rows[i].letter && usage->rows[i].letter == letter)
            return &usage->rows[i];
    return NULL;
}

/* strtoull() takes "-1" and " 5"; an option does not. */
static bool parse_u64(const char *text, uint64_t *ret_value)
{
    unsigned long long value;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret_value = value;
    return true;
}

static bool parse_real(const char *text, double *ret_value)
{
    double value;
    char *end;

    errno = 0;
    value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(value))
        return false;
    *ret_value = value;
    return true;
}

/* 0, or the exit status of a value that is not one. */
static int row_set(const struct app *app, const struct option_row *row, const char *value)
{
    uint64_t whole = 0;
    double real = 0;

    switch (row->kind) {
    case OPTION_FLAG: *(bool *)row->target = true; return 0;
    case OPTION_TEXT:
        if (*value == '\0')
            return app_wrong_use(app, "--%s needs a value that is not empty", row->name);
        *(const char **)row->target = value;
        return 0;
    case OPTION_U64:
        if (!parse_u64(value, &whole) || whole > INT64_MAX)
            return app_wrong_use(app, "--%s takes a whole number, not '%s'", row->name, value);
        *(uint64_t *)row->target = whole;
        return 0;
    case OPTION_U32:
        if (!parse_u64(value, &whole) || (double)whole < row->min || (double)whole > row->max)
            return app_wrong_use(app, "--%s takes a whole number from %.0f to %.0f, not '%s'",
                                 row->name, row->min, row->max, value);
        *(uint32_t *)row->target = (uint32_t)whole;
        return 0;
    case OPTION_REAL:
        if (!parse_real(value, &real) || real < row->min || real > row->max)
            return app_wrong_use(app, "--%s takes a number from %g to %g, not '%s'", row->name,
                                 row->min, row->max, value);
        *(double *)row->target = real;
        return 0;
    }
    return EXIT_WRONG_USE;
}

/* The value attached to the option (may be NULL), else the next word. */
static int row_take(struct reader *r, const struct option_row *row, const char *attached)
{
    if (row->kind == OPTION_FLAG) {
        if (attached)
            return app_wrong_use(r->app, "--%s takes no value", row->name);
        return row_set(r->app, row, NULL);
    }
    if (!attached) {
        if (r->at + 1 >= r->argc)
            return app_wrong_use(r->app, "--%s needs a value (%s)", row->name, row->value);
        attached = r->argv[++r->at];
    }
    return row_set(r->app, row, attached);
}

static int read_long(struct reader *r, const char *word)
{
    const char *equals = strchr(word, '=');
    const size_t n = equals ? (size_t)(equals - word) : strlen(word);
    const struct option_row *row = row_by_name(r->usage, word, n);

    if (!row)
        return app_wrong_use(r->app, "there is no option '--%.*s'", (int)n, word);
    return row_take(r, row, equals ? equals + 1 : NULL);
}

/* "-n5" or a bundle of flags, "-qv". */
static int read_short(struct reader *r, const char *word)
{
    for (; *word; word++) {
        const struct option_row *row = row_by_letter(r->usage, *word);
        int exit_status;

        if (!row)
            return app_wrong_use(r->app, "there is no option '-%c'", *word);
        if (row->kind != OPTION_FLAG)
            return row_take(r, row, word[1] ? word + 1 : NULL);
        exit_status = row_take(r, row, NULL);
        if (exit_status != 0)
            return exit_status;
    }
    return 0;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int read_all(struct reader *r, const char **ret_args, size_t *ret_n)
{
    bool options_ended = false;

    for (r->at = 1; r->at < r->argc; r->at++) {
        const char *word = r->argv[r->at];
        int exit_status = 0;

        if (!options_ended && strcmp(word, "--") == 0)
            options_ended = true;
        else if (!options_ended && strncmp(word, "--", 2) == 0)
            exit_status = read_long(r, word + 2);
        else if (!options_ended && word[0] == '-' && word[1] != '\0')
            exit_status = read_short(r, word + 1);
        else if (*ret_n < r->usage->max_args)
            ret_args[(*ret_n)++] = word;
        else
            exit_status = app_wrong_use(r->app, "'%s' is one argument too many", word);
        if (exit_status != 0)
            return exit_status;
    }
    return 0;
}

bool options_parse(const struct app *app, const struct usage *usage, int argc, char **argv,
                   const char **ret_args, int *ret_exit_status)
{
    struct reader r = { .app = app, .usage = usage, .argc = argc, .argv = argv };
    size_t n = 0;
    int exit_status;

    for (size_t i = 0; i < OPTIONS_ARGS_MAX; i++)
        ret_args[i] = NULL;
    if (wants_help(argc, argv)) {
        help_show(app, usage);
        *ret_exit_status = EXIT_FINE;
        return false;
    }
    exit_status = read_all(&r, ret_args, &n);
    if (exit_status == 0 && n < usage->min_args)
        exit_status = app_wrong_use(app, "it needs %s", usage->arguments);
    if (exit_status != 0)
        *ret_exit_status = exit_status;
    return exit_status == 0;
}
