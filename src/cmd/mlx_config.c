/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx_config.c - `pomona mlx-config`: write and check the host files of distributed MLX.
 *
 * A host is asked by `ssh HOST PROGRAM mlx-config --self`: each machine knows itself best.  All are
 * asked one after the other, each for SSH_SECONDS at most.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/paths.h"
#include "base/size.h"
#include "cmd/bench/child.h"
#include "cmd/mlx/judge.h"
#include "cmd/options.h"

enum { SSH_WORDS_MAX = 32, SSH_COMMAND_MAX = 1024, FIRST_PORT = 32323, PORT_MAX = 60000 };

static const double SSH_SECONDS = 60;

struct options {
    const char *config, *backend, *over, *format, *output, *ssh, *program;
    uint32_t port;
    bool checks, is_self, is_json;
};

struct job {
    struct mlx_hosts hosts;
    struct mlx_answer answers[MLX_HOSTS_MAX];
    bool has_answers;
};

/* `ssh` and its own arguments, cut at blanks; then the host and what to run there. */
static enum status ssh_command(const struct options *o, const char *host, char *words,
                               const char **ret_argv, struct err *err)
{
    size_t n = 0;

    if ((size_t)snprintf(words, SSH_COMMAND_MAX, "%s", o->ssh) >= SSH_COMMAND_MAX)
        return err_set(err, ST_RANGE, "--ssh is too long");
    for (char *at = words + strspn(words, " "); *at; at += strspn(at, " ")) {
        if (n == SSH_WORDS_MAX)
            return err_set(err, ST_RANGE, "--ssh has more than %d words", SSH_WORDS_MAX);
        ret_argv[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    if (n == 0)
        return err_set(err, ST_RANGE, "--ssh names no program");
    if (host[0] == '-') /* else it would be an option of ssh */
        return err_set(err, ST_RANGE, "'%s' is no host", host);
    ret_argv[n++] = host;
    ret_argv[n++] = o->program;
    ret_argv[n++] = "mlx-config";
    ret_argv[n++] = "--self";
    ret_argv[n] = NULL;
    return ST_OK;
}

static void ask(const struct options *o, const struct mlx_host *host, struct mlx_answer *ret)
{
    const char *argv[SSH_WORDS_MAX + 5];
    char words[SSH_COMMAND_MAX];
    struct buf output = { 0 };
    struct err err = { 0 };
    json_t *json = NULL;
    enum status s = ssh_command(o, host->ssh, words, argv, &err);

    if (s == ST_OK)
        s = child_output(argv, SSH_SECONDS, &output, &err);
    if (s == ST_OK) {
        json = json_loads(buf_text(&output), 0, NULL);
        s = mlx_facts_read(json, &ret->facts, &err);
    }
    ret->is_there = s == ST_OK;
    (void)snprintf(ret->why, sizeof(ret->why), "%s", err.words);
    json_decref(json);
    buf_release(&output);
}

static void ask_all(const struct options *o, struct job *job)
{
    for (size_t i = 0; i < job->hosts.n; i++)
        ask(o, &job->hosts.hosts[i], &job->answers[i]);
    job->has_answers = true;
}

static enum status read_file(const char *path, struct mlx_hosts *ret_hosts, struct err *err)
{
    struct buf text = { 0 };
    enum status s = file_read(path, MLX_FILE_MAX, &text, err);
    json_t *json = s == ST_OK ? json_loads(buf_text(&text), 0, NULL) : NULL;

    if (s == ST_OK && !json)
        s = err_set(err, ST_FORMAT, "it is not JSON");
    if (s == ST_OK)
        s = mlx_hosts_read(json, ret_hosts, err);
    if (s != ST_OK)
        err_wrap(err, "'%s'", path);
    json_decref(json);
    buf_release(&text);
    return s;
}

static enum status hosts_of_config(const struct options *o, struct mlx_hosts *ret_hosts,
                                   struct err *err)
{
    struct config *config = NULL;
    enum mlx_backend backend;
    enum status s = mlx_backend_find(o->backend, &backend, err);

    if (s == ST_OK)
        s = config_load(o->config, &config, err);
    if (s == ST_OK)
        s = mlx_hosts_of(config, backend, o->over, ret_hosts, err);
    config_free(config);
    return s;
}

/* What is wrong, for people or as JSON; true where nothing is. */
static bool report(const struct options *o, const struct job *job)
{
    json_t *problems = json_array(), *all;
    const json_t *problem;
    size_t i, n;

    mlx_judge(&job->hosts, job->has_answers ? job->answers : NULL, problems);
    n = json_array_size(problems);
    if (o->is_json && o->checks) {
        all = json_pack("{s:b,s:s,s:i,s:O}", "ok", n == 0, "backend",
                        mlx_backend_name(job->hosts.backend), "hosts", (int)job->hosts.n,
                        "problems", problems);
        (void)json_dumpf(all, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(all);
    } else {
        json_array_foreach(problems, i, problem)
            fprintf(stderr, "%s\n", json_string_value(problem));
        if (n == 0 && o->checks)
            printf("%zu hosts are ready for MLX's %s\n", job->hosts.n,
                   mlx_backend_name(job->hosts.backend));
    }
    json_decref(problems);
    return n == 0;
}

static enum status compose(const struct options *o, const struct mlx_hosts *hosts, struct buf *out,
                           struct err *err)
{
    if (hosts->backend == MLX_MPI)
        mlx_write_mpi(hosts, out);
    else if (strcmp(o->format, "launch") == 0)
        mlx_write_launch(hosts, out);
    else if (strcmp(o->format, "rank") != 0)
        return err_set(err, ST_RANGE, "no format '%.32s'; there are: launch, rank", o->format);
    else if (hosts->backend == MLX_RING)
        mlx_write_ring(hosts, (uint16_t)o->port, out);
    else
        mlx_write_devices(hosts, out);
    return buf_status(out) == ST_OK ? ST_OK : err_set(err, ST_NOMEM, "write a file of hosts");
}

static enum status write_out(const struct options *o, const struct mlx_hosts *hosts,
                             struct err *err)
{
    struct buf out = { 0 };
    enum status s = compose(o, hosts, &out, err);

    if (s == ST_OK && o->output)
        s = file_replace(o->output, out.data, out.len, err);
    else if (s == ST_OK)
        (void)fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
    return s;
}

static int check(const struct app *app, const struct options *o, const char *file, struct job *job)
{
    struct err err = { 0 };
    const enum status s =
        file ? read_file(file, &job->hosts, &err) : hosts_of_config(o, &job->hosts, &err);

    if (s != ST_OK)
        return app_fail(app, &err);
    ask_all(o, job);
    return report(o, job) ? EXIT_FINE : EXIT_FAILED;
}

static int write_file(const struct app *app, const struct options *o, struct job *job)
{
    struct err err = { 0 };
    enum status s = hosts_of_config(o, &job->hosts, &err);

    if (s == ST_OK && job->hosts.backend == MLX_JACCL) {
        ask_all(o, job);
        for (size_t i = 0; s == ST_OK && i < job->hosts.n; i++)
            if (!job->answers[i].is_there)
                s = err_set(&err, ST_PEER, "host '%s' is not reached by SSH: %.300s",
                            job->hosts.hosts[i].name, job->answers[i].why);
        if (s == ST_OK)
            s = mlx_find_devices(&job->hosts, job->answers, &err);
    }
    if (s == ST_OK && !report(o, job))
        return EXIT_FAILED;
    if (s == ST_OK)
        s = write_out(o, &job->hosts, &err);
    return app_end(app, s, &err);
}

static int tell_self(void)
{
    struct mlx_facts *facts = malloc(sizeof(*facts));
    struct buf out = { 0 };

    if (!facts)
        return EXIT_FAILED;
    mlx_facts_gather(facts);
    mlx_facts_write(facts, &out);
    (void)fputs(buf_text(&out), stdout);
    buf_release(&out);
    free(facts);
    return EXIT_FINE;
}

/* clang-format off */
int cmd_mlx_config(struct app *app, int argc, char **argv)
{
    struct options o = { .backend = "ring", .format = "launch", .port = FIRST_PORT,
                         .ssh = "ssh -o BatchMode=yes -o ConnectTimeout=10" };
    char self[PATH_MAX_BYTES];
    const struct option_row rows[] = {
        { "config", 0, "FILE", "the cluster: config/cluster_nodes.json", OPTION_TEXT, &o.config, 0, 0 },
        { "backend", 0, "NAME", "ring (TCP), jaccl (RDMA over Thunderbolt), mpi (default ring)", OPTION_TEXT, &o.backend, 0, 0 },
        { "over", 0, "KIND", "addresses of links whose kind begins so (default: the nodes' hosts)", OPTION_TEXT, &o.over, 0, 0 },
        { "format", 0, "NAME", "launch, for mlx.launch; rank, what MLX_HOSTFILE or MLX_IBV_DEVICES names (default launch)", OPTION_TEXT, &o.format, 0, 0 },
        { "output", 'o', "FILE", "where to write (default: standard output)", OPTION_TEXT, &o.output, 0, 0 },
        { "port", 0, "N", "of the first connection, for --format rank (default 32323)", OPTION_U32, &o.port, 1024, PORT_MAX },
        { "check", 0, NULL, "ask every host over SSH, of FILE or of the configuration; write nothing", OPTION_FLAG, &o.checks, 0, 0 },
        { "ssh", 0, "COMMAND", "how to reach hosts (default: ssh, which asks for no password)", OPTION_TEXT, &o.ssh, 0, 0 },
        { "program", 0, "PATH", "pomona on the hosts (default: as here)", OPTION_TEXT, &o.program, 0, 0 },
        { "self", 0, NULL, "tell what this machine is, as JSON", OPTION_FLAG, &o.is_self, 0, 0 },
        { "json", 0, NULL, "what --check finds as JSON", OPTION_FLAG, &o.is_json, 0, 0 },
    };
    static const char *const examples[] = {
        "mlx-config --config config/cluster_nodes.json --over thunderbolt -o ring.json",
        "mlx-config --config config/cluster_nodes.json --backend jaccl -o jaccl.json",
        "mlx-config --config config/cluster_nodes.json --check ring.json",
        NULL,
    };
    const struct usage usage = {
        .arguments = "[FILE]",
        .max_args = 1,
        .about = "Write the host files that distributed MLX is started with, from the cluster's\n"
                 "configuration, or check one: hosts reached by SSH with keys, addresses,\n"
                 "Thunderbolt cables and RDMA of Macs, versions equal everywhere.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    struct job *job;
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (o.is_self)
        return tell_self();
    if (!o.config && !(o.checks && args[0]))
        return app_wrong_use(app, "--config is missing");
    if (args[0] && !o.checks)
        return app_wrong_use(app, "FILE is for --check; --output says where to write");
    if (!o.program && path_of_self(self, &err) != ST_OK)
        return app_fail(app, &err);
    o.program = o.program ? o.program : self;
    job = calloc(1, sizeof(*job));
    if (!job)
        return app_fail(app, &(struct err){ .status = ST_NOMEM, .words = "out of memory" });
    exit_status = o.checks ? check(app, &o, args[0], job) : write_file(app, &o, job);
    free(job);
    return exit_status;
}
/* clang-format on */
