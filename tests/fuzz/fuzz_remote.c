/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_remote.c - any bytes as what a node says of itself are read, or refused with words. */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "monitor/own.h"
#include "monitor/remote.h"

static const char *const texts[] = {
    "{\"cluster\":\"c\",\"node\":\"a\",\"version\":\"1\",\"nodes\":[{\"name\":\"a\",\"alive\":true,\"rtt_ms\":0.5}],"
    "\"instances\":[{\"id\":\"i\",\"model\":\"m\",\"state\":\"ready\",\"active\":1,\"generated_tokens\":7,"
    "\"shards\":[{\"node\":\"a\",\"first_layer\":0,\"n_layers\":3}]}],\"wanted\":[{\"model\":\"m\",\"copies\":1}],"
    "\"links\":[{\"from\":\"a\",\"to\":\"b\",\"host\":\"h\",\"answers\":true}]}",
    "{\"status\":\"ok\",\"node\":\"a\",\"version\":\"1\",\"unix_ms\":1700000000000}",
    "# HELP a b\na{b=\"c\\\\\",d=\"\"} 1.5e3 17\nx 1\n",
    "cpu 1 2 3 4 5 6 7 8\n",
    "MemTotal: 10 kB\nMemAvailable: 5 kB\nSwapTotal: 4 kB\nSwapFree: 1 kB\n",
    "some avg10=1.50 avg60=0\nMax open files 10 20 files\n",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static void read_state(const uint8_t *bytes, size_t n)
{
    struct remote_state state = { 0 };
    struct err err = { 0 };

    if (remote_state_read((const char *)bytes, n, &state, &err) != ST_OK && !err.words[0])
        abort();
    for (size_t i = 0; i < state.n_members; i++)
        if (strpbrk(state.members[i].name, "\n\r\033"))
            abort();
    remote_state_release(&state);
}

static void read_text(const uint8_t *bytes, size_t n)
{
    char *text = malloc(n + 1);
    struct remote_sample sample;
    struct own_figures figures = { 0 };
    const char *at = text;

    if (!text)
        abort();
    memcpy(text, bytes, n);
    text[n] = '\0';
    while (remote_sample_next(&at, &sample))
        if (!sample.name[0] || at > text + n)
            abort();
    own_parse_cpu(text, &figures);
    own_parse_memory(text, &figures);
    (void)own_parse_pressure(text);
    (void)own_parse_file_limit(text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct remote_ready ready;

    (void)remote_ready_read((const char *)bytes, n, &ready, NULL);
    read_state(bytes, n);
    read_text(bytes, n);
    return 0;
}
