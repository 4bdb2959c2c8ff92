/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/issuers.h - the keys of all issuers, fetched, renewed, and kept while they do.
 *
 * A set from a URL is fetched in a job when it is new and every refresh_s; one fetch of an issuer at a
 * time.  A failed fetch changes nothing until stale_s are over.  A token that names an unknown key may
 * mean that the issuer has a new one: one more fetch, at most every 30 s, for which those tokens wait.
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_GUARD_ISSUERS_H
#define POMONA_GATEWAY_GUARD_ISSUERS_H

#include "gateway/guard/files.h"
#include "net/loop.h"

struct issuers;

enum status issuers_new(struct loop *loop, struct issuers **ret_issuers, struct err *err);
void issuers_free(struct issuers *issuers); /* NULL is allowed */

/* Other files are in force; sets of URLs that stay are kept. */
void issuers_set(struct issuers *issuers, const struct access_files *files);

/* The keys of issuer `i`, lent until the loop runs again; NULL: none could be fetched yet. */
const struct jwks *issuers_keys(const struct issuers *issuers, unsigned i);

/* Ask for new keys of issuer `i`.  True: a fetch is under way, done() is called after it; false: it is
 * of no use now. */
bool issuers_renew(struct issuers *issuers, unsigned i);

/* fn(arg) after each fetch. */
void issuers_on_fetched(struct issuers *issuers, loop_fn *fn, void *arg);

#endif
