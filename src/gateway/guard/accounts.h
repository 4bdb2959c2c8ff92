/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/accounts.h - whose limits a request counts against, and how urgent it may be, by the settings.
 *
 * Pure.
 */
#ifndef POMONA_GATEWAY_GUARD_ACCOUNTS_H
#define POMONA_GATEWAY_GUARD_ACCOUNTS_H

#include <stdbool.h>

#include "config/api_gateway.h"
#include "gateway/guard/limits.h"
#include "gateway/guard/principal.h"

/* Names in what is returned are lent by `who`, or are `model`. */
struct limits_of account_of_key(const struct api_all_limits *all, const struct principal *who);
struct limits_of account_of_tenant(const struct api_all_limits *all, const struct principal *who);
struct limits_of account_of_model(const struct api_all_limits *all, const char *model);

/* Who has no tenant is his own. */
const char *account_tenant(const struct principal *who);

/* Does it yield to others?  who  NULL: nobody was asked who they are */
bool account_is_batch(const struct api_all_limits *all, const struct principal *who,
                      const char *model);

#endif
