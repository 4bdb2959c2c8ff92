/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/measure.c - `pomona measure`: how fast this machine computes, for plans.
 *
 * A node runs it in the background, as a process of its own: one that can be ended at once when
 * a model is placed, and that has the processor only where nobody else wants it.
 */
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "base/size.h"
#include "cluster/topology/speed_file.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "execute/runner/orphan.h"
#include "execute/speed/speed.h"

enum { NICEST = 19 };

struct measure_options {
    uint32_t threads;
    const char *kernels, *file;
    bool is_json, is_background;
};

static void print_json(const struct node_measure *measure)
{
    struct node_speed speeds[] = { measure->node, measure->machine };
    static const char *const names[] = { "node", "machine" };
    json_t *all = json_object();

    for (size_t owner = 0; owner < ARRAY_LEN(speeds); owner++) {
        json_t *figures = json_object();

        for (size_t i = 0; i < NODE_SPEED_FIELDS; i++)
            (void)json_object_set_new(figures, node_speed_fields[i].name,
                                      json_real(*node_speed_at(&speeds[owner], i)));
        (void)json_object_set_new(all, names[owner], figures);
    }
    (void)json_object_set_new(all, "others", json_real(measure->others));
    (void)json_dumpf(all, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)putchar('\n');
    json_decref(all);
}

static void print(const struct node_measure *measure)
{
    const struct node_speed *speed = &measure->node, *machine = &measure->machine;

    printf("%-28s %10s %10s\n", "", "A NODE", "ALL CORES");
    printf("%-28s %10.1f %10.1f\n", "reads weights, GB/s", speed->memory_gbs, machine->memory_gbs);
    printf("%-28s %10.0f %10.0f\n", "multiplies, GOPS", speed->compute_gops, machine->compute_gops);
    printf("%-28s %10.0f %10.0f\n", "attends, GOPS", speed->attend_gops, machine->attend_gops);
    printf("%-28s %10.1f\n", "a layer beside that, us", speed->layer_us);
    printf("%-28s %10.2f\n", "a row's element, ns", speed->row_ns);
    printf("%-28s %10.2f\n", "an entry to sample from, ns", speed->sample_ns);
    printf("%-28s %10.1f\n", "to tell a step, us", speed->step_us);
    printf("%-28s %10.1f\n", "and each token of it, us", speed->token_us);
    if (!node_measure_is_quiet(measure))
        printf("Others used %.0f %% of this machine meanwhile: it is faster than that.\n",
               100 * measure->others);
}

static enum status where(const struct measure_options *options, char *ret_path, struct err *err)
{
    char cache[PATH_MAX_BYTES];
    enum status s;

    if (options->file) {
        (void)snprintf(ret_path, PATH_MAX_BYTES, "%s", options->file);
        return ST_OK;
    }
    s = path_cache(cache, err);
    return s == ST_OK ? speed_file_path(cache, options->threads, options->kernels, ret_path, err)
                      : s;
}

/* Nodes of one machine begin at the same time, and would measure each other.  The lock is held until
 * this process ends. */
static enum status lock_for(const char *path, struct err *err)
{
    char folder[PATH_MAX_BYTES];
    enum status s;
    int fd;

    (void)snprintf(folder, sizeof(folder), "%s", path);
    if (strrchr(folder, '/'))
        *strrchr(folder, '/') = '\0';
    s = path_make(folder, err);
    if (s != ST_OK)
        return s;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_errno(err, "this machine is being measured already");
    return ST_OK;
}

/* What nodes run in the background makes no figures worse that are there already. */
static bool is_worth_keeping(const struct measure_options *options, const char *path,
                             const struct node_measure *measure)
{
    struct node_measure kept;

    return !options->is_background || speed_file_read(path, &kept, NULL) != ST_OK ||
           measure->others < kept.others;
}

static enum status measure(const struct measure_options *options, struct err *err)
{
    struct node_measure measure;
    char path[PATH_MAX_BYTES];
    enum status s;

    if (options->is_background) {
        orphan_dies();
        (void)setpriority(PRIO_PROCESS, 0, NICEST);
    }
    s = where(options, path, err);
    if (s == ST_OK && options->is_background)
        s = lock_for(path, err);
    if (s == ST_OK)
        s = speed_measure(options->threads, options->kernels, &measure, err);
    if (s == ST_OK && is_worth_keeping(options, path, &measure))
        s = speed_file_write(path, &measure, err);
    if (s == ST_OK)
        (options->is_json ? print_json : print)(&measure);
    return s;
}

int cmd_measure(struct app *app, int argc, char **argv)
{
    struct measure_options options = { 0 };
    const struct option_row rows[] = {
        { "threads", 't', "N", "as `serve` is given (default: every core)", OPTION_U32,
          &options.threads, 1, 1024 },
        { "kernels", 0, "NAME", "as `serve` is given (default: the best here)", OPTION_TEXT,
          &options.kernels, 0, 0 },
        { "file", 0, "FILE", "keep the figures there (default: in the cache folder)", OPTION_TEXT,
          &options.file, 0, 0 },
        { "background", 0, NULL, "take no processor time that others want", OPTION_FLAG,
          &options.is_background, 0, 0 },
        { "json", 0, NULL, "the figures as one JSON object", OPTION_FLAG, &options.is_json, 0, 0 },
    };
    static const char *const examples[] = { "", "-t 8 --json", NULL };
    const struct usage usage = {
        .arguments = "",
        .about = "Measure how fast this machine computes, with layers of made-up weights in the\n"
                 "engine itself: some seconds of all cores. Nodes do this once, while they have\n"
                 "nothing to do, and plan with it; run it again after changing the machine.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    return app_end(app, measure(&options, &err), &err);
}
