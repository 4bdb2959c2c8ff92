/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/notice.h - a change of a finding as others want to hear of it.
 *
 * Pure.
 *
 * Source  Alertmanager API v2, postAlerts; HMAC: RFC 2104
 */
#ifndef POMONA_MONITOR_NOTICE_H
#define POMONA_MONITOR_NOTICE_H

#include "monitor/ledger.h"

struct notice {
    char cluster[CONFIG_NAME_MAX], monitor[CONFIG_NAME_MAX];
    char subject[SUBJECT_MAX], words[CHANGE_WORDS_MAX];
    const char *check, *about, *group;
    enum finding_state from, to;
    double value, warning, critical;
    int64_t unix_s; /* when it changed */
};

/* {"time":...,"subject":...,"check":...,"from":...,"to":...,...}: for commands and webhooks. */
char *notice_json(const struct notice *notice); /* given: free(); NULL: no memory */

/* The alerts of [n] notices: one for each that is a warning or critical, and one that is over for what it was.
 * now_s, keep_s  an alert that is not told of again ends keep_s from now */
char *notice_alerts(const struct notice *notices, size_t n, int64_t now_s, int64_t keep_s);

enum { NOTICE_SIGNATURE_MAX = 2 * 32 + 1 };

/* HMAC-SHA256 of "SECONDS.BODY" in hexadecimal: the time is signed, too, so an old one cannot be sent again.
 * Returns  false: no memory */
bool notice_sign(const char *secret, int64_t now_s, const char *body, char *ret_signature);

#endif
