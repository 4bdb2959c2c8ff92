/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/access.h - may this request be answered?
 *
 *   routed --access_admit()--> handler --access_grant()--> generated --reservation_end()--> over
 *               \-- 401, 403, 429          \-- 403, 429
 *
 * access_admit() knows the address and the header: who asks, whether the address is theirs, and
 * their requests per minute.  access_grant() knows the parsed request: model, tokens, what runs.
 * With auth off everybody may everything, and limits of models alone hold.
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_GUARD_ACCESS_H
#define POMONA_GATEWAY_GUARD_ACCESS_H

#include "gateway/dialect/api_request.h"
#include "gateway/guard/files.h"
#include "gateway/http/exchange.h"
#include "net/http_head.h"
#include "net/loop.h"

struct access;
typedef void access_resume_fn(void *arg, struct exchange *x);

/* listen_host     numeric; on loopback an API without keys is asked by its own names alone (hosts.h)
 * resume(arg, x)  routes an exchange again that had to wait for an issuer's keys
 * Errors          ST_NOMEM */
enum status access_new(struct loop *loop, const char *listen_host, access_resume_fn *resume,
                       void *arg, struct access **ret_access, struct err *err);
void access_free(struct access *access); /* after its exchanges; NULL is allowed */

/* From now on these hold.  Takes a reference. */
void access_set(struct access *access, struct access_files *files);

/* route_path  which it found.  True: go on.  False: it is answered, or waits and is resumed. */
bool access_admit(struct access *access, struct exchange *x, const char *route_path);

/* The same by its header alone, of a request whose body would be read in vain.  Nothing is counted; what
 * only a fetch of keys could tell passes.  True: refused with `e`, in the shape *ret_errors. */
bool access_refuses(struct access *access, const struct http_head *head, const char *route_path,
                    struct api_error *e, const struct error_shape **ret_errors);

/* Reserve what the request may cost; r->tenant and r->reservation are set.
 * Errors  not ST_OK, and `e` says why not */
enum status access_grant(struct access *access, struct exchange *x, struct api_request *r,
                         struct api_error *e);

/* A number for the tenant whose request was admitted; 0: nobody was asked who they are. */
uint64_t access_tenant(const struct exchange *x);

/* May who asks end what `owner` asked for, a number of access_tenant()?  Their own; an admin anybody's. */
bool access_may_end(const struct exchange *x, uint64_t owner);

/* What is used today, to be kept over a restart; access_restore() adds it. */
json_t *access_save(const struct access *access);
void access_restore(struct access *access, const json_t *saved);

#endif
