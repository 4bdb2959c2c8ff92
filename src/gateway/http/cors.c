/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/cors.c - which web pages may ask. */
#include "gateway/http/cors.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { NAMES_MAX = 1024 };

static bool is_own(const char *origin, const char *host)
{
    const char *at = strstr(origin, "://");

    return at && host && strcasecmp(at + 3, host) == 0;
}

enum cors_verdict cors_judge(const struct api_cors *cors, const char *origin, const char *host)
{
    if (!origin || is_own(origin, host))
        return CORS_OWN;
    for (unsigned i = 0; i < cors->origins_count; i++)
        if (strcmp(cors->origins[i], "*") == 0 || strcmp(cors->origins[i], origin) == 0)
            return CORS_ALLOWED;
    return CORS_REFUSED;
}

const char *cors_told(const struct api_cors *cors, const char *origin)
{
    return strcmp(cors->origins[0], "*") == 0 ? "*" : origin;
}

bool cors_are_names(const char *names)
{
    for (const char *c = names; *c; c++)
        if (c - names >= NAMES_MAX || (!isalnum((unsigned char)*c) && !strchr("-_, ", *c)))
            return false;
    return true;
}
