/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/doctor.c - `pomona doctor`: is this machine ready, and if not, what to do.
 *
 * To add a check: a function that says what it found, one row in checks[].
 * A failed check that something needs makes the exit status 1; advice does not.
 */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utf8proc.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/machine.h"
#include "base/size.h"
#include "cluster/cluster.h"
#include "cmd/api.h"
#include "cmd/options.h"
#include "cmd/units.h"
#include "engine/engine.h"
#include "engine/mlx/load.h"
#include "model/keep.h"
#include "model/store/store.h"

enum verdict { FINE, ADVICE, MISSING };

/* Appends one sentence about what it found. */
typedef enum verdict check_fn(const struct app *app, struct buf *found);

enum { PORT_API = 52415, PORT_CONTROL = 52416 };

static enum verdict check_cpu(const struct app *app, struct buf *found)
{
    const uint32_t features = machine_cpu_features();
    char name[128];

    (void)app;
    machine_cpu_name(name, sizeof(name));
    buf_printf(found, "%s, %u cores", name, machine_n_cores());
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if ((features & bit) && machine_cpu_feature_name(bit))
            buf_printf(found, ", %s", machine_cpu_feature_name(bit));
    if (features & (CPU_AVX2 | CPU_NEON))
        return FINE;
    buf_puts(found, "; neither AVX2 nor NEON, so answers will be slow");
    return ADVICE;
}

static enum verdict check_memory(const struct app *app, struct buf *found)
{
    enum { MEMORY_LITTLE_BYTES = 1 << 30 };
    const uint64_t bytes = machine_memory_bytes();
    char text[UNITS_MAX];

    (void)app;
    buf_printf(found, "%s", units_bytes(bytes, text));
    if (bytes >= MEMORY_LITTLE_BYTES)
        return FINE;
    buf_puts(found, ": only the smallest models fit");
    return ADVICE;
}

static enum verdict check_data(const struct app *app, struct buf *found)
{
    char dir[PATH_MAX_BYTES];
    struct err err = { 0 };

    if (app_data_dir(app, dir, &err) != ST_OK || path_make(dir, &err) != ST_OK) {
        buf_puts(found, err.words);
        return MISSING;
    }
    if (access(dir, W_OK) != 0) {
        buf_printf(found, "'%s' is not writable: %s", dir, strerror(errno));
        return MISSING;
    }
    buf_printf(found, "%s", dir);
    return FINE;
}

static enum verdict check_models(const struct app *app, struct buf *found)
{
    struct store_entry *entries = NULL;
    char dir[PATH_MAX_BYTES], panels_dir[PATH_MAX_BYTES], text[UNITS_MAX];
    uint64_t panel_bytes = 0;
    struct err err = { 0 };
    struct store store;
    size_t n = 0;

    if (app_data_dir(app, dir, &err) != ST_OK || store_init(&store, dir, &err) != ST_OK ||
        store_list(&store, &entries, &n, NULL, NULL, &err) != ST_OK) {
        buf_puts(found, err.words);
        return MISSING;
    }
    for (size_t i = 0; i < n; i++)
        panel_bytes += model_keep_bytes(entries[i].path, panels_dir);
    free(entries);
    buf_printf(found, "%zu in %s", n, store.dir);
    if (panel_bytes > 0)
        buf_printf(found, ", with %s of panels (*.panels) that may be deleted at any time",
                   units_bytes(panel_bytes, text));
    if (n > 0)
        return FINE;
    buf_printf(found, ": '%s import FILE' adds one", app->program);
    return ADVICE;
}

/* A port counts as free when this process can take it. */
static int port_take(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int yes = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    int why = fd < 0 ? errno : 0;

    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
            why = errno;
        (void)close(fd);
    }
    return why;
}

/* The name of the node that answers, NULL where none does; free(). */
static char *node_name(const struct app *app, struct err *err)
{
    json_t *health = NULL;
    const char *name;
    char *copy;

    if (api_get(app, "/health", &health, err) != ST_OK)
        return NULL;
    name = json_string_value(json_object_get(health, "node"));
    copy = strdup(name ? name : "without a name");
    json_decref(health);
    return copy;
}

static enum verdict check_node(const struct app *app, struct buf *found)
{
    struct err err = { 0 };
    char *name = node_name(app, &err);

    if (!name) {
        buf_puts(found, err.words);
        return ADVICE;
    }
    buf_printf(found, "node %s answers at %s", name, app_api_url(app));
    free(name);
    return FINE;
}

/* Ports that a node holds are not missing: check_node() tells who answers. */
static enum verdict check_ports(const struct app *app, struct buf *found)
{
    static const uint16_t ports[] = { PORT_API, PORT_CONTROL };
    enum verdict verdict = FINE;

    (void)app;
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        const int why = port_take(ports[i]);

        buf_printf(found, "%s%u %s", i ? ", " : "", ports[i], why == 0 ? "free" : strerror(why));
        if (why != 0)
            verdict = ADVICE;
    }
    return verdict;
}

static enum verdict check_libraries(const struct app *app, struct buf *found)
{
    (void)app;
    buf_printf(found, "libevent %s, libcurl %s, jansson %s, protobuf-c %s, utf8proc %s, ",
               event_get_version(), curl_version_info(CURLVERSION_NOW)->version, JANSSON_VERSION,
               protobuf_c_version(), utf8proc_version());
    buf_printf(found, "xxHash %u.%u.%u, OpenSSL %s", XXH_versionNumber() / 10000,
               XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100,
               OpenSSL_version(OPENSSL_VERSION_STRING));
    return FINE;
}

static enum verdict check_engine(const struct app *app, struct buf *found)
{
    const struct engine_type *engine = engine_find(NULL);
    const struct mlx_module *mlx;
    const bool has_mlx = mlx_load(&mlx, NULL) == ST_OK;

    (void)app;
    buf_printf(found, "engine %s%s%s; not in this build: %smpi%s, systemd",
               engine ? engine->name : "missing", has_mlx ? ", mlx" : "",
               cluster_has_mdns() ? ", mdns" : "", has_mlx ? "" : "mlx, ",
               cluster_has_mdns() ? "" : ", mdns");
    return engine ? FINE : MISSING;
}

static const struct {
    const char *name;
    check_fn *run;
} checks[] = {
    { "processor", check_cpu }, { "memory", check_memory },       { "data folder", check_data },
    { "models", check_models }, { "ports", check_ports },         { "node", check_node },
    { "parts", check_engine },  { "libraries", check_libraries },
};

static const char *mark(const struct app *app, enum verdict verdict)
{
    static const char *const plain[] = { "ok  ", "note", "FAIL" };
    static const char *const coloured[] = { "\033[32mok  \033[0m", "\033[33mnote\033[0m",
                                            "\033[31mFAIL\033[0m" };

    return app->has_colour ? coloured[verdict] : plain[verdict];
}

int cmd_doctor(struct app *app, int argc, char **argv)
{
    const struct option_row rows[] = { OPTION_DATA(app), OPTION_API(app) };
    static const char *const examples[] = { "", "--data /srv/pomona", NULL };
    const struct usage usage = {
        .arguments = "",
        .about = "Check this machine: what it can compute with, whether a node could start here,\n"
                 "and whether one answers. Exit status 1 when something needed is missing.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    exit_status = EXIT_FINE;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct buf found = { 0 };
        const enum verdict verdict = checks[i].run(app, &found);

        printf("%s  %-12s %s\n", mark(app, verdict), checks[i].name, buf_text(&found));
        buf_release(&found);
        if (verdict == MISSING)
            exit_status = EXIT_FAILED;
    }
    return exit_status;
}
