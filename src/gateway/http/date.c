/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/date.c - the time as an answer's header has it. */
#include "gateway/http/date.h"

#include <event2/util.h>
#include <time.h>

const char *http_date_text(struct http_date *date, int64_t unix_s)
{
    const time_t at = (time_t)unix_s;
    struct tm parts;

    if (date->at_s != unix_s && gmtime_r(&at, &parts)) {
        (void)evutil_date_rfc1123(date->text, sizeof(date->text), &parts);
        date->at_s = unix_s;
    }
    return date->text;
}
