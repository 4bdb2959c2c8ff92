/* SPDX-License-Identifier: Apache-2.0 */
/* config/health_monitor.h - what the health monitor watches, when it calls, and whom: config/health_monitor.yaml.
 *
 * The file explains each value.  Which checks there are, monitor/check.h knows: a row of `checks` that
 * names none is found when the monitor takes the settings.
 *
 * To add a setting: a field here, its row in the schema of health_monitor.c, its default and bound in the table there,
 * and its lines in config/health_monitor.yaml.
 */
#ifndef POMONA_CONFIG_HEALTH_MONITOR_H
#define POMONA_CONFIG_HEALTH_MONITOR_H

#include <stdint.h>

#include "base/log_level.h"
#include "config/config.h"

enum {
    HEALTH_CHECKS_MAX = 64, /* rows of `checks` */
    HEALTH_LIST_MAX = 32,   /* of disks, names, certificates, units, words of a command */
    HEALTH_CALLBACKS_MAX = 8,
    HEALTH_URL_MAX = 512,
    HEALTH_PROMPT_MAX = 1024,
    HEALTH_PORT = 52418,
    HEALTH_SECRET_MAX = 256,
};

enum health_action {
    HEALTH_ACTION_DEFAULT = 0,
    HEALTH_ACTION_NONE,
    HEALTH_ACTION_REPLACE,
    HEALTH_ACTION_DRAIN
};

struct health_check {
    char name[CONFIG_NAME_MAX];
    double *warning, *critical, *for_s, *clear_s; /* NULL: as built in */
    int action;                                   /* HEALTH_ACTION_* */
    int is_off;
};

enum health_callback_kind { HEALTH_COMMAND, HEALTH_WEBHOOK, HEALTH_ALERTMANAGER };

struct health_callback {
    int kind;       /* HEALTH_COMMAND... */
    char **command; /* [command_count] the program's path and its arguments */
    unsigned command_count;
    char url[HEALTH_URL_MAX];
    char secret_file[CONFIG_PATH_MAX];
    char secret_env[CONFIG_NAME_MAX];
    char secret[HEALTH_SECRET_MAX]; /* what is there; "": requests are not signed */
};

struct health_monitor {
    struct {
        char host[CONFIG_HOST_MAX];
        uint16_t port;
    } listen;
    char api_scheme[8]; /* of the nodes: "http" or "https" */
    char api_ca
        [CONFIG_PATH_MAX]; /* who signed their certificates, PEM; "": the system's authorities */
    struct {
        double poll, machine, canary, record, names, certificates, paths, units,
            speed; /* seconds */
    } every;
    struct {
        double poll, canary, callback; /* seconds */
    } deadline;
    struct {
        int is_off;
        char prompt[HEALTH_PROMPT_MAX], expect[HEALTH_PROMPT_MAX];
        uint32_t max_tokens;
    } canary;
    struct {
        uint32_t raw_hours, minute_days, hour_days, event_days;
    } history;
    struct {
        char level[LOG_LEVELS_TEXT_MAX]; /* base/log_level.h */
    } log;
    double target;                       /* of availability, < 1 */
    char pressure_file[CONFIG_PATH_MAX]; /* memory pressure, as the kernel or a cgroup tells it */
    struct health_check *checks;         /* [checks_count] */
    unsigned checks_count;
    char **disks; /* [disks_count] folders; none: that of the data */
    unsigned disks_count;
    char **names; /* [names_count] to be looked up */
    unsigned names_count;
    char **certificates; /* [certificates_count] files */
    unsigned certificates_count;
    char **units; /* [units_count] services of this machine; none: the node's, where it is one */
    unsigned units_count;
    struct health_callback *callbacks; /* [callbacks_count] */
    unsigned callbacks_count;
};

/* Read and check the whole file; secrets are read, too.
 * ret_config  given: health_monitor_free()
 * Errors      ST_NOTFOUND, ST_IO, ST_NOMEM; ST_FORMAT and ST_RANGE with file, line and what is wrong */
enum status health_monitor_load(const char *path, struct health_monitor **ret_config,
                                struct err *err);

/* What holds without a file. */
enum status health_monitor_default(struct health_monitor **ret_config, struct err *err);
void health_monitor_free(struct health_monitor *config); /* NULL is allowed */

#endif
