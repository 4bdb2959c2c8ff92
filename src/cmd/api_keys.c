/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/api_keys.c - `pomona keys create`, `list` and `revoke`: the API keys of a data folder.
 *
 * A key's text is written once, on standard output, where it is made.  Nodes of this data folder notice
 * a change within a second.
 */
#include "cmd/api_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "gateway/guard/api_keys.h"
#include "net/cluster_key.h"

enum { DAY_S = 86400 };

static enum status keys_path(const struct app *app, char *ret_path, struct err *err)
{
    char data[PATH_MAX_BYTES];
    enum status s = app_data_dir(app, data, err);

    if (s == ST_OK)
        s = path_make(data, err);
    return s == ST_OK ? path_join(data, API_KEYS_FILE, ret_path, err) : s;
}

static enum status add_models(const char *list, struct principal *who, struct err *err)
{
    enum status s = ST_OK;

    for (const char *at = list; *at && s == ST_OK;) {
        const size_t n = strcspn(at, ",");
        char name[CONFIG_WORDS_MAX];

        if (n >= sizeof(name))
            return err_set(err, ST_RANGE, "a model's name is longer than %d bytes",
                           CONFIG_WORDS_MAX - 1);
        memcpy(name, at, n);
        name[n] = '\0';
        if (n > 0)
            s = principal_add_model(who, name, err);
        at += n + (at[n] == ',');
    }
    return s;
}

static enum status describe(const char *name, const struct api_key_options *options,
                            struct api_key *key, struct err *err)
{
    struct principal *who = &key->who;
    enum status s =
        scopes_parse(options->scopes ? options->scopes : "chat,embed,models", &who->scopes, err);

    if (s == ST_OK && options->tenant && strlen(options->tenant) >= sizeof(who->tenant))
        s = err_set(err, ST_RANGE, "the tenant's name is longer than %zu bytes",
                    sizeof(who->tenant) - 1);
    if (s == ST_OK && strlen(name) >= sizeof(key->name))
        s = err_set(err, ST_RANGE, "the key's name is longer than %zu bytes",
                    sizeof(key->name) - 1);
    if (s == ST_OK && options->priority && strcmp(options->priority, "batch") != 0 &&
        strcmp(options->priority, "interactive") != 0)
        s = err_set(err, ST_RANGE, "the priority is 'interactive' or 'batch'");
    who->is_batch = options->priority && strcmp(options->priority, "batch") == 0;
    if (s == ST_OK && options->models)
        s = add_models(options->models, who, err);
    if (s != ST_OK)
        return s;
    (void)snprintf(key->name, sizeof(key->name), "%s", name);
    (void)snprintf(who->tenant, sizeof(who->tenant), "%s", options->tenant ? options->tenant : "");
    if (options->days)
        who->expires_s = clock_unix_s() + (int64_t)options->days * DAY_S;
    who->limits = (struct api_limits){
        .requests_per_minute = options->requests_per_minute,
        .concurrent = options->concurrent,
        .tokens_per_minute = options->tokens_per_minute,
        .requests_per_day = options->requests_per_day,
        .tokens_per_day = options->tokens_per_day,
    };
    who->has_limits = options->requests_per_minute || options->concurrent ||
                      options->tokens_per_minute || options->requests_per_day ||
                      options->tokens_per_day;
    return ST_OK;
}

int api_keys_make(const struct app *app, const char *name, const struct api_key_options *options)
{
    char path[PATH_MAX_BYTES], text[API_KEY_TEXT_MAX];
    struct api_key key = { 0 };
    struct err err = { 0 };
    enum status s;

    s = describe(name, options, &key, &err);
    if (s == ST_OK)
        s = keys_path(app, path, &err);
    if (s == ST_OK)
        s = api_keys_create(path, &key, text, &err);
    if (s != ST_OK)
        return app_fail(app, &err);
    printf("%s\n", text);
    cluster_key_wipe(text, sizeof(text));
    if (app->out_is_terminal)
        fprintf(stderr, "Keep it: it cannot be shown again.\n");
    return EXIT_FINE;
}

static void print_date(int64_t at_s, const char *otherwise)
{
    const time_t at = (time_t)at_s;
    char text[16] = "";
    struct tm parts;

    if (at_s && gmtime_r(&at, &parts))
        (void)strftime(text, sizeof(text), "%Y-%m-%d", &parts);
    printf("  %-10s", text[0] ? text : otherwise);
}

static void print_key(const struct api_key *key)
{
    const struct principal *who = &key->who;

    printf("%-24s  %-16s", key->name, who->tenant[0] ? who->tenant : "-");
    print_date(key->created_s, "-");
    print_date(who->expires_s, "never");
    printf("  %s%s%s%s", who->scopes & SCOPE_CHAT ? "chat " : "",
           who->scopes & SCOPE_EMBED ? "embed " : "", who->scopes & SCOPE_MODELS ? "models " : "",
           who->scopes & SCOPE_ADMIN ? "admin " : "");
    for (size_t i = 0; i < who->n_models; i++)
        printf("%s%s", i > 0 ? "," : " ", who->models[i]);
    printf("%s\n", who->is_batch ? "  (batch)" : "");
}

int api_keys_list(const struct app *app)
{
    char path[PATH_MAX_BYTES];
    struct api_keys *keys = NULL;
    struct err err = { 0 };
    enum status s;

    s = keys_path(app, path, &err);
    if (s == ST_OK)
        s = api_keys_load(path, &keys, &err);
    if (s != ST_OK)
        return app_fail(app, &err);
    printf("%-24s  %-16s  %-10s  %-10s  %s\n", "name", "tenant", "created", "expires",
           "scopes, models");
    for (size_t i = 0; i < api_keys_count(keys); i++)
        print_key(api_keys_at(keys, i));
    api_keys_free(keys);
    return EXIT_FINE;
}

int api_keys_end(const struct app *app, const char *name)
{
    char path[PATH_MAX_BYTES];
    struct err err = { 0 };
    enum status s;

    s = keys_path(app, path, &err);
    if (s == ST_OK)
        s = api_keys_revoke(path, name, &err);
    return s == ST_OK ? EXIT_FINE : app_fail(app, &err);
}
