/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_level.h - which lines are told: a level for all, and others for single components.
 *
 *   "info"                 all of info and above
 *   "info,cluster=debug"   and everything of src/cluster
 *   "warn,access=info"     of the access log all, of the rest what is to worry about
 *
 * A component is a folder of src/ that logs; each is compiled with its own LOG_COMPONENT
 * (LOGS of cmake/module.cmake).  The access log is one of its own.
 *
 * To add a component: a row of LOG_COMPONENT_MAP, LOGS in the folder's CMakeLists.txt.
 *
 * Threads  any
 */
#ifndef POMONA_BASE_LOG_LEVEL_H
#define POMONA_BASE_LOG_LEVEL_H

#include <stdbool.h>

#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, N_LOG_LEVELS };

/* clang-format off */
#define LOG_COMPONENT_MAP(X) \
    X(MAIN,    "main") /* what lies in no folder */ \
    X(ACCESS,  "access") \
    X(CLUSTER, "cluster") \
    X(CMD,     "cmd") \
    X(EXECUTE, "execute") \
    X(FLOW,    "flow") \
    X(GATEWAY, "gateway") \
    X(MODEL,   "model") \
    X(MONITOR, "monitor")
/* clang-format on */

enum log_component {
#define LOG_COMPONENT_ENUM(name, text) LOG_IN_##name,
    LOG_COMPONENT_MAP(LOG_COMPONENT_ENUM)
#undef LOG_COMPONENT_ENUM
        N_LOG_COMPONENTS
};

enum { LOG_LEVELS_TEXT_MAX = 256 }; /* NUL included */

struct log_levels {
    enum log_level common; /* of all components that were not named */
    enum log_level of[N_LOG_COMPONENTS];
};

const char *log_level_name(enum log_level level);             /* "debug" */
const char *log_component_name(enum log_component component); /* "cluster" */

/* `text` as above: one level, then COMPONENT=LEVEL, with commas.
 * Errors  ST_RANGE, with the part that is wrong and what it may be */
enum status log_levels_parse(const char *text, struct log_levels *ret_levels, struct err *err);

/* What log_levels_parse() makes the same levels of: ret [LOG_LEVELS_TEXT_MAX]. */
void log_levels_text(const struct log_levels *levels, char *ret);

/* From now on, for the whole process.  At the start: info. */
void log_levels_use(const struct log_levels *levels);
void log_levels_now(struct log_levels *ret_levels);

/* Those that an option gave hold; else those that a file says; else all of info.
 * given, of_file  checked before; NULL or "": none */
void log_levels_choose(const char *given, const char *of_file);

/* All components: for tests. */
void log_set_level(enum log_level level);

/* Whether a line of that level and component is told: costs one load. */
bool log_is_on(enum log_level level, enum log_component component);

#endif
