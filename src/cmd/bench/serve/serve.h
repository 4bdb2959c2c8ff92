/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/serve.h - `pomona bench --url`: how a server of OpenAI's API serves. */
#ifndef POMONA_CMD_BENCH_SERVE_SERVE_H
#define POMONA_CMD_BENCH_SERVE_SERVE_H

#include <stdbool.h>

#include "cmd/bench/serve/load.h"

struct serve_options {
    struct load_options load;
    const char *extra; /* JSON as written, NULL for none */
    bool is_json;
};

/* One request that is not measured, then the load; prints the report.
 * Errors  ST_PEER   the first request was not answered, or none of the others was
 *         ST_RANGE  `extra` is no JSON object; as load_run() */
enum status bench_serve(const struct serve_options *options, struct err *err);

#endif
