/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_health_monitor.c - any bytes as health_monitor.yaml are refused with words, or are settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "config/health_monitor.h"
#include "drive.h"

static const char *const texts[] = {
    "listen: { host: 127.0.0.1, port: 1 }\nevery:\n  poll_s: 2\n  canary_s: 0.5\ndeadline: { poll_s: 1 }\n",
    "checks:\n  - { name: disk.free, warning: 0.1, critical: 0.05, for_s: 3, clear_s: 4, action: drain }\n"
    "  - { name: cpu.busy, off: true }\ntarget: 0.99\n",
    "callbacks:\n  - { kind: command, command: [ /bin/true, x ] }\n  - { kind: webhook, url: 'http://h/' }\n"
    "  - { kind: alertmanager, url: http://127.0.0.1:1 }\n",
    "canary: { off: true, prompt: a, expect: b, max_tokens: 3 }\nhistory: { raw_hours: 1 }\ndisks: [ / ]\n"
    "names: [ a, b ]\ncertificates: []\n",
    "# nothing\n",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char path[64];
    struct health_monitor *config = NULL;
    struct err err = { 0 };
    FILE *file;

    if (!path[0])
        snprintf(path, sizeof(path), "/tmp/pomona-fuzz-health-%ld.yaml", (long)getpid());
    file = fopen(path, "w");
    if (!file)
        abort();
    (void)fwrite(bytes, 1, n, file);
    fclose(file);
    if (health_monitor_load(path, &config, &err) != ST_OK &&
        (!err.words[0] || strchr(err.words, '\n')))
        abort();
    health_monitor_free(config);
    unlink(path);
    return 0;
}
