/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_mlx_hosts.c - any bytes as a host file of MLX, as what a host answers, or as what macOS'
 * programs print, are refused with words or taken, and what was taken can be judged and written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "cmd/mlx/judge.h"
#include "drive.h"

static const char *const texts[] = {
    "{\"backend\":\"jaccl\",\"envs\":[],\"hosts\":[{\"ssh\":\"a\",\"ips\":[\"10.0.0.1\"],"
    "\"rdma\":[null,\"rdma_en2\"]},{\"ssh\":\"b\",\"ips\":[],\"rdma\":[[\"rdma_en3\"],null]}]}",
    "[{\"ssh\":\"a\",\"ips\":[\"10.0.0.1\",\"10.0.1.1\"]},{\"ssh\":\"b\",\"ips\":[\"::1\"]}]",
    "{\"system\":\"Darwin 25\",\"pomona\":\"1\",\"mlx\":\"0.32.4\",\"rdma\":true,"
    "\"addresses\":[{\"interface\":\"en0\",\"address\":\"10.0.0.1\"}],\"devices\":[\"rdma_en2\"],"
    "\"thunderbolt\":[{\"interface\":\"en2\",\"id\":\"x\",\"peer\":\"y\"}]}",
    "{\"SPThunderboltDataType\":[{\"domain_uuid_key\":\"A\",\"receptacle_1_tag\":"
    "{\"receptacle_id_key\":\"1\"},\"_items\":[{\"domain_uuid_key\":\"B\"}]}]}",
    "\nHardware Port: Thunderbolt 1\nDevice: en2\n\n  rdma_en2  0123\n",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static void use_hosts(const json_t *json)
{
    static struct mlx_hosts hosts;
    static struct mlx_answer answers[MLX_HOSTS_MAX];
    json_t *problems = json_array();
    struct err err = { 0 };
    struct buf out = { 0 };

    if (mlx_hosts_read(json, &hosts, &err) == ST_OK) {
        mlx_judge(&hosts, answers, problems);
        mlx_write_launch(&hosts, &out);
        mlx_write_ring(&hosts, 5000, &out);
        mlx_write_devices(&hosts, &out);
    } else if (!err.words[0]) {
        abort();
    }
    buf_release(&out);
    json_decref(problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct mlx_facts facts;
    char *text = malloc(n + 1);
    struct buf out = { 0 };
    struct err err = { 0 };
    json_t *json;

    if (!text)
        return 0;
    memcpy(text, bytes, n);
    text[n] = '\0';
    json = json_loads(text, 0, NULL);
    use_hosts(json);
    if (mlx_facts_read(json, &facts, &err) == ST_OK)
        mlx_facts_write(&facts, &out);
    else if (!err.words[0])
        abort();
    json_decref(json);
    facts = (struct mlx_facts){ .n_ports = 0 };
    mlx_facts_take_ports(texts[3], text, &facts);
    mlx_facts_take_ports(text, texts[4], &facts);
    mlx_facts_take_devices(text, &facts);
    buf_release(&out);
    free(text);
    return 0;
}
