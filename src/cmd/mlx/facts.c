/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx/facts.c - one machine's addresses, Thunderbolt ports, RDMA devices and versions. */
#include "cmd/mlx/facts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/size.h"
#include "cluster/discovery/interfaces.h"
#include "cmd/bench/child.h"
#include "engine/mlx/load.h"

static const double TOOL_SECONDS = 20; /* system_profiler takes some */

/* Empty where it is missing or too long. */
static void take_text(char ret_text[FACTS_TEXT_MAX], const char *text)
{
    ret_text[0] = '\0';
    if (text && strlen(text) < FACTS_TEXT_MAX)
        memcpy(ret_text, text, strlen(text) + 1);
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* The device of "Hardware Port: Thunderbolt N", N as text: lines of "Key: value" in blocks. */
static void find_interface(const char *networksetup, const char *number,
                           char ret_name[FACTS_TEXT_MAX])
{
    char wanted[FACTS_TEXT_MAX];
    const char *at;
    size_t n;

    ret_name[0] = '\0';
    (void)snprintf(wanted, sizeof(wanted), "Hardware Port: Thunderbolt %.16s\n", number);
    at = strstr(networksetup, wanted);
    if (!at)
        return;
    at += strlen(wanted);
    if (strncmp(at, "Device: ", strlen("Device: ")) != 0)
        return;
    at += strlen("Device: ");
    n = strcspn(at, "\r\n");
    if (n < FACTS_TEXT_MAX)
        (void)snprintf(ret_name, FACTS_TEXT_MAX, "%.*s", (int)n, at);
}

void mlx_facts_take_ports(const char *system_profiler, const char *networksetup,
                          struct mlx_facts *facts)
{
    json_t *all = json_loads(system_profiler, 0, NULL);
    const json_t *bus, *item;
    size_t i, k;

    json_array_foreach(json_object_get(all, "SPThunderboltDataType"), i, bus)
    {
        const json_t *tag = json_object_get(bus, "receptacle_1_tag");
        char name[FACTS_TEXT_MAX];

        find_interface(networksetup, text_at(tag, "receptacle_id_key"), name);
        if (!name[0] || facts->n_ports == FACTS_PORTS_MAX)
            continue;
        take_text(facts->ports[facts->n_ports].interface, name);
        take_text(facts->ports[facts->n_ports].id, text_at(bus, "domain_uuid_key"));
        json_array_foreach(json_object_get(bus, "_items"), k, item)
        {
            if (*text_at(item, "domain_uuid_key"))
                take_text(facts->ports[facts->n_ports].peer, text_at(item, "domain_uuid_key"));
        }
        facts->n_ports++;
    }
    json_decref(all);
}

void mlx_facts_take_devices(const char *ibv_devices, struct mlx_facts *facts)
{
    for (const char *at = ibv_devices; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *name = at + strspn(at, " \t");
        const size_t n = strcspn(name, " \t\r\n");

        if (strncmp(name, "rdma_", strlen("rdma_")) != 0 || n >= FACTS_TEXT_MAX ||
            facts->n_devices == FACTS_PORTS_MAX)
            continue;
        (void)snprintf(facts->devices[facts->n_devices++], FACTS_TEXT_MAX, "%.*s", (int)n, name);
    }
}

/* What a program prints; "" where it is missing or fails. */
static void run(const char *const *argv, struct buf *output)
{
    if (child_output(argv, TOOL_SECONDS, output, NULL) != ST_OK)
        buf_clear(output);
}

static void gather_ports(struct mlx_facts *facts)
{
    static const char *const profiler[] = { "system_profiler", "SPThunderboltDataType", "-json",
                                            NULL };
    static const char *const setup[] = { "networksetup", "-listallhardwareports", NULL };
    static const char *const status[] = { "rdma_ctl", "status", NULL };
    static const char *const devices[] = { "ibv_devices", NULL };
    struct buf one = { 0 }, other = { 0 };

    run(profiler, &one);
    run(setup, &other);
    mlx_facts_take_ports(buf_text(&one), buf_text(&other), facts);
    buf_clear(&one);
    run(status, &one);
    facts->has_rdma = strstr(buf_text(&one), "enabled") != NULL;
    buf_clear(&other);
    run(devices, &other);
    mlx_facts_take_devices(buf_text(&other), facts);
    buf_release(&one);
    buf_release(&other);
}

static void gather_addresses(struct mlx_facts *facts)
{
    struct interface all[INTERFACES_MAX];
    size_t n = 0;

    if (interfaces_list(all, &n, NULL) != ST_OK)
        return;
    for (size_t i = 0; i < n && facts->n_addresses < FACTS_ADDRESSES_MAX; i++) {
        if (!all[i].has_v4)
            continue;
        take_text(facts->addresses[facts->n_addresses].interface, all[i].name);
        (void)inet_ntop(AF_INET, &all[i].v4, facts->addresses[facts->n_addresses].address,
                        FACTS_TEXT_MAX);
        facts->n_addresses++;
    }
}

void mlx_facts_gather(struct mlx_facts *ret)
{
    const struct mlx_module *module;
    struct utsname system;

    *ret = (struct mlx_facts){ .pomona = POMONA_VERSION };
    if (uname(&system) == 0)
        (void)snprintf(ret->system, sizeof(ret->system), "%.30s %.30s", system.sysname,
                       system.release);
    if (mlx_load(&module, NULL) == ST_OK)
        take_text(ret->mlx, module->mlx_version());
    gather_addresses(ret);
    gather_ports(ret);
}

void mlx_facts_write(const struct mlx_facts *f, struct buf *out)
{
    json_t *addresses = json_array(), *devices = json_array(), *ports = json_array(), *all;
    char *text;

    for (size_t i = 0; i < f->n_addresses; i++)
        (void)json_array_append_new(addresses,
                                    json_pack("{s:s,s:s}", "interface", f->addresses[i].interface,
                                              "address", f->addresses[i].address));
    for (size_t i = 0; i < f->n_devices; i++)
        (void)json_array_append_new(devices, json_string(f->devices[i]));
    for (size_t i = 0; i < f->n_ports; i++)
        (void)json_array_append_new(ports,
                                    json_pack("{s:s,s:s,s:s}", "interface", f->ports[i].interface,
                                              "id", f->ports[i].id, "peer", f->ports[i].peer));
    all = json_pack("{s:s,s:s,s:s,s:o,s:b,s:o,s:o}", "system", f->system, "pomona", f->pomona,
                    "mlx", f->mlx, "addresses", addresses, "rdma", f->has_rdma, "devices", devices,
                    "thunderbolt", ports);
    text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    if (text)
        buf_printf(out, "%s\n", text);
    else
        out->failed = true;
    free(text);
    json_decref(all);
}

enum status mlx_facts_read(const json_t *json, struct mlx_facts *ret, struct err *err)
{
    const json_t *entry;
    size_t i;

    *ret = (struct mlx_facts){ .has_rdma = json_is_true(json_object_get(json, "rdma")) };
    if (!*text_at(json, "pomona"))
        return err_set(err, ST_FORMAT,
                       "what it answers is not what 'pomona mlx-config --self' says");
    take_text(ret->system, text_at(json, "system"));
    take_text(ret->pomona, text_at(json, "pomona"));
    take_text(ret->mlx, text_at(json, "mlx"));
    json_array_foreach(json_object_get(json, "addresses"), i, entry)
    {
        if (i >= FACTS_ADDRESSES_MAX)
            break;
        take_text(ret->addresses[i].interface, text_at(entry, "interface"));
        take_text(ret->addresses[i].address, text_at(entry, "address"));
        ret->n_addresses = i + 1;
    }
    json_array_foreach(json_object_get(json, "devices"), i, entry)
    {
        if (i >= FACTS_PORTS_MAX)
            break;
        take_text(ret->devices[i], json_string_value(entry));
        ret->n_devices = i + 1;
    }
    json_array_foreach(json_object_get(json, "thunderbolt"), i, entry)
    {
        if (i >= FACTS_PORTS_MAX)
            break;
        take_text(ret->ports[i].interface, text_at(entry, "interface"));
        take_text(ret->ports[i].id, text_at(entry, "id"));
        take_text(ret->ports[i].peer, text_at(entry, "peer"));
        ret->n_ports = i + 1;
    }
    return ST_OK;
}
