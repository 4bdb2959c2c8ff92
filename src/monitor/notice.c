/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/notice.c - a change of a finding as JSON, as alerts, and its signature. */
#include "monitor/notice.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hex.h"

enum { TIME_MAX = 32 };

/* RFC 3339, in UTC */
static const char *time_text(int64_t unix_s, char *ret)
{
    const time_t t = (time_t)unix_s;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || strftime(ret, TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        ret[0] = '\0';
    return ret;
}

char *notice_json(const struct notice *n)
{
    char when[TIME_MAX];
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:s}", "time",
                  time_text(n->unix_s, when), "cluster", n->cluster, "monitor", n->monitor,
                  "subject", n->subject, "check", n->check, "group", n->group, "about", n->about,
                  "from", finding_state_word(n->from), "to", finding_state_word(n->to), "value",
                  n->value, "warning", n->warning, "critical", n->critical, "words", n->words);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    json_decref(root);
    return text;
}

static bool is_alert(enum finding_state state)
{
    return state == FINDING_WARNING || state == FINDING_CRITICAL;
}

static json_t *alert(const struct notice *n, enum finding_state severity, int64_t ends_s)
{
    char starts[TIME_MAX], ends[TIME_MAX], summary[SUBJECT_MAX + 128];

    (void)snprintf(summary, sizeof(summary), "%s of %s is %g", n->check, n->subject, n->value);
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s}, s:s, s:s}", "labels",
                     "alertname", "PomonaHealth", "check", n->check, "subject", n->subject,
                     "severity", finding_state_word(severity), "cluster", n->cluster, "annotations",
                     "summary", summary, "description", n->about, "words", n->words, "startsAt",
                     time_text(n->unix_s, starts), "endsAt", time_text(ends_s, ends));
}

char *notice_alerts(const struct notice *notices, size_t n, int64_t now_s, int64_t keep_s)
{
    json_t *list = json_array();
    char *text = NULL;
    bool failed = !list;

    for (size_t i = 0; i < n && !failed; i++) {
        const struct notice *at = &notices[i];

        if (is_alert(at->from) && at->from != at->to)
            failed = json_array_append_new(list, alert(at, at->from, now_s)) != 0;
        if (!failed && is_alert(at->to))
            failed = json_array_append_new(list, alert(at, at->to, now_s + keep_s)) != 0;
    }
    if (!failed)
        text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

bool notice_sign(const char *secret, int64_t now_s, const char *body, char *ret_signature)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n_mac = 0;
    struct buf text = { 0 };
    bool is_signed;

    buf_printf(&text, "%" PRId64 ".%s", now_s, body);
    is_signed = buf_status(&text) == ST_OK &&
                HMAC(EVP_sha256(), secret, (int)strlen(secret),
                     (const unsigned char *)buf_text(&text), text.len, mac, &n_mac) != NULL;
    if (is_signed)
        hex_write(mac, n_mac, ret_signature);
    buf_release(&text);
    return is_signed;
}
