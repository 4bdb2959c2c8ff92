/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/api.h - how short-lived subcommands talk to a node: HTTP with JSON.
 *
 * The node is app_api_url().  Every call has deadlines and every answer a
 * bound; what a node refuses comes back in its own words.  Proxies of the
 * environment are not used: nodes are neighbours.
 *
 * Errors of every call  ST_PEER      no node answers there
 *                       ST_DEADLINE  it took too long
 *                       ST_DENIED    401, 403: POMONA_API_KEY is missing or does not do; or the certificate
 *                                    is not trusted
 *                       ST_NOTFOUND, ST_RANGE, ST_FULL, ST_IO  the node refused: 404, other 4xx, 503,
 *                                    other 5xx, with its words
 *                       ST_FORMAT    the answer is not what a node would say
 *
 * Threads  the main thread
 */
#ifndef POMONA_CMD_API_H
#define POMONA_CMD_API_H

#include <jansson.h>

#include "base/buf.h"
#include "cmd/cmd.h"

/* GET `path` ("/cluster/state"); *ret_reply given: json_decref(). */
enum status api_get(const struct app *app, const char *path, json_t **ret_reply, struct err *err);

/* POST `body` (borrowed); *ret_reply given: json_decref(). */
enum status api_post(const struct app *app, const char *path, const json_t *body,
                     json_t **ret_reply, struct err *err);

/* One line of a newline-delimited JSON answer, lent; not ST_OK ends the call with that status. */
typedef enum status api_line_fn(void *arg, const json_t *line, struct err *err);

/* POST `body`; fn is called for each line as it arrives. */
enum status api_post_lines(const struct app *app, const char *path, const json_t *body,
                           api_line_fn *fn, void *arg, struct err *err);

/* Store the words of OpenAI's error object inside `reply`, if it is one, as `s`; else `otherwise`. */
enum status api_error(const json_t *reply, enum status s, const char *otherwise, struct err *err);

/* Append `text` to a query, percent-encoded (RFC 3986, section 2.1). */
void api_escape(struct buf *query, const char *text);

#endif
