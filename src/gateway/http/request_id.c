/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/request_id.c - the name of a request. */
#include "gateway/http/request_id.h"

#include <ctype.h>
#include <string.h>

#include "base/random.h"

void request_id_choose(const char *given, char *ret)
{
    size_t n = given ? strlen(given) : 0;

    for (size_t i = 0; i < n && given; i++) {
        if (!isalnum((unsigned char)given[i]) && !strchr("._-", given[i]))
            n = 0;
    }
    if (n > 0 && n < X_REQUEST_ID_MAX) {
        memcpy(ret, given, n + 1);
        return;
    }
    memcpy(ret, "req_", 4);
    random_hex(ret + 4, 12);
}
