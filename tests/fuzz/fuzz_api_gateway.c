/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_api_gateway.c - any bytes as api_gateway.yaml are refused with the file's name and words, or
 * are a configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "config/api_gateway.h"
#include "drive.h"

static const char *const texts[] = {
    "auth:\n  required: true\n  issuers:\n    - issuer: https://i/\n      audiences: [a, b]\n"
    "      algorithms: [RS256, ES256]\n      jwks_url: https://i/jwks\n      leeway_s: 30\n"
    "      scopes_claim: scope\n",
    "limits:\n  key: { requests_per_minute: 60, tokens_per_minute: 6000, concurrent: 4 }\n"
    "  tenants:\n    - { name: acme, limits: { requests_per_day: 4 } }\n  model: {}\n",
    "queue:\n  requests: 16\n  prompt_tokens: 10000\n  wait_s: 3\nbalancing:\n  policy: round-robin\n",
    "upstreams:\n  - name: up\n    url: http://127.0.0.1:1/v1\n    models:\n      - { name: m, as: n, weight: 2 }\n"
    "    key_file: k\n  - &a { name: other, url: 'https://[::1]:2' }\n",
    "# nothing\n---\nauth: {}\n...\n",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char path[64];
    struct api_gateway *config = NULL;
    struct err err = { 0 };
    FILE *file;

    if (!path[0])
        snprintf(path, sizeof(path), "/tmp/pomona-fuzz-%ld.yaml", (long)getpid());
    file = fopen(path, "w");
    if (!file)
        abort();
    (void)fwrite(bytes, 1, n, file);
    fclose(file);
    if (api_gateway_load(path, &config, &err) != ST_OK &&
        (!err.words[0] || strchr(err.words, '\n')))
        abort();
    api_gateway_unref(config);
    unlink(path);
    return 0;
}
