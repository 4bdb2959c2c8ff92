/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/keys.c - `pomona keys`: the key that the nodes of a cluster share, and those of the API's clients.
 *
 * The cluster's key is written to a terminal or a pipe only where --show asks for it,
 * and to no log ever.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "cmd/api_keys.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/peers.h"
#include "net/cluster_key.h"

struct keys_options {
    struct api_key_options api;
    const char *file;
    bool shows, imports, forces;
};

static int show(const struct app *app, const char *path)
{
    char text[CLUSTER_KEY_TEXT_MAX];
    struct cluster_key key;
    struct err err;

    if (cluster_key_load(path, &key, &err) != ST_OK)
        return app_fail(app, &err);
    cluster_key_print(&key, text);
    printf("%s\n", text);
    cluster_key_wipe(text, sizeof(text));
    cluster_key_wipe(&key, sizeof(key));
    return EXIT_FINE;
}

static enum status read_key(struct cluster_key *ret_key, struct err *err)
{
    char text[256];
    enum status s;

    if (!fgets(text, sizeof(text), stdin))
        return err_set(err, ST_FORMAT, "there is no key on standard input");
    s = cluster_key_parse(text, ret_key, err);
    cluster_key_wipe(text, sizeof(text));
    return s;
}

static int make(const struct app *app, const struct keys_options *options, const char *path)
{
    struct cluster_key key;
    struct err err = { 0 };
    enum status s = ST_OK;

    if (access(path, F_OK) == 0 && !options->forces)
        s = err_set(&err, ST_DENIED,
                    "there is a key in '%s' already; --show prints it, --force "
                    "replaces it",
                    path);
    if (s == ST_OK && options->imports)
        s = read_key(&key, &err);
    else if (s == ST_OK)
        cluster_key_make(&key);
    if (s == ST_OK)
        s = cluster_key_save(path, &key, &err);
    cluster_key_wipe(&key, sizeof(key));
    if (s != ST_OK)
        return app_fail(app, &err);
    printf("Cluster key written to %s\n", path);
    if (!options->imports)
        printf("Copy it to every other node, for example:\n"
               "  %s keys cluster --show | ssh NODE %s keys cluster --import\n",
               app->program, app->program);
    return EXIT_FINE;
}

/* Keys of the API's clients. */
static int api(const struct app *app, const char *const *args, const struct keys_options *options)
{
    const char *verb = args[0], *name = args[1];

    if (strcmp(verb, "list") == 0 && !name)
        return api_keys_list(app);
    if (strcmp(verb, "create") == 0 && name)
        return api_keys_make(app, name, &options->api);
    if (strcmp(verb, "revoke") == 0 && name)
        return api_keys_end(app, name);
    return app_wrong_use(app, "say 'cluster', 'create NAME', 'list' or 'revoke NAME'");
}

/* clang-format off */
int cmd_keys(struct app *app, int argc, char **argv)
{
    struct keys_options options = { 0 };
    const struct option_row rows[] = {
        { "file", 'f', "FILE", "the key's file (default: cluster.key in the data folder)", OPTION_TEXT, &options.file, 0, 0 },
        { "show", 0, NULL, "print the key that is there", OPTION_FLAG, &options.shows, 0, 0 },
        { "import", 0, NULL, "take the key from standard input", OPTION_FLAG, &options.imports, 0, 0 },
        { "force", 0, NULL, "replace a key that is there", OPTION_FLAG, &options.forces, 0, 0 },
        { "tenant", 0, "NAME", "of a new API key: on whose behalf it asks (default: its own)", OPTION_TEXT, &options.api.tenant, 0, 0 },
        { "scopes", 0, "LIST", "chat, embed, models, admin (default: all but admin)", OPTION_TEXT, &options.api.scopes, 0, 0 },
        { "models", 0, "LIST", "which it may use (default: all)", OPTION_TEXT, &options.api.models, 0, 0 },
        { "priority", 0, "WORD", "interactive, or batch: its requests yield to others' (default: interactive)", OPTION_TEXT, &options.api.priority, 0, 0 },
        { "days", 0, "N", "until it expires (default: never)", OPTION_U32, &options.api.days, 1, 36500 },
        { "rpm", 0, "N", "requests per minute (this and the following default to the gateway's settings)", OPTION_U32, &options.api.requests_per_minute, 1, UINT32_MAX },
        { "tpm", 0, "N", "tokens per minute", OPTION_U64, &options.api.tokens_per_minute, 0, 0 },
        { "concurrent", 0, "N", "requests at once", OPTION_U32, &options.api.concurrent, 1, UINT32_MAX },
        { "requests-per-day", 0, "N", "requests per day", OPTION_U64, &options.api.requests_per_day, 0, 0 },
        { "tokens-per-day", 0, "N", "tokens per day", OPTION_U64, &options.api.tokens_per_day, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "cluster",
        "create alice --tenant acme --rpm 600 --tpm 100000",
        "revoke alice",
        "cluster --show | ssh studio-2 pomona keys cluster --import",
        NULL
    };
    const struct usage usage = {
        .arguments = "cluster | create NAME | list | revoke NAME",
        .min_args = 1,
        .max_args = 2,
        .about = "cluster: make the key that the nodes of a cluster share: who has it may join.\n"
                 "A replaced key counts once a node was started anew.\n"
                 "create, list, revoke: keys of the API's clients, which count where the gateway's\n"
                 "settings say 'auth: required'. The text of a new one is printed, this once.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    /* clang-format on */
    const char *args[OPTIONS_ARGS_MAX];
    char path[PATH_MAX_BYTES];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (strcmp(args[0], "cluster") != 0)
        return api(app, args, &options);
    if (args[1])
        return app_wrong_use(app, "'cluster' takes no name");
    if (options.shows && (options.imports || options.forces))
        return app_wrong_use(app, "--show changes nothing; leave out --import and --force");
    if (!options.file && peers_key_path(app, path, &err) != ST_OK)
        return app_fail(app, &err);
    return options.shows ? show(app, options.file ? options.file : path)
                         : make(app, &options, options.file ? options.file : path);
}
