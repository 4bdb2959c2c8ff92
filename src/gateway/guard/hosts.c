/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/hosts.c - under which names an open API may be asked. */
#include "gateway/guard/hosts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/size.h"

enum { NAME_MAX_BYTES = 256 }; /* RFC 1035, section 2.3.4 */

/* The name alone, without brackets, port, and the dot that ends a whole name.  False: it cannot be one. */
static bool cut_name(const char *host, char ret_name[static NAME_MAX_BYTES], bool *ret_in_brackets)
{
    const char *end;

    *ret_in_brackets = host[0] == '[';
    host += *ret_in_brackets;
    end = host + strcspn(host, *ret_in_brackets ? "]" : ":");
    if (*ret_in_brackets && *end != ']')
        return false;
    if (end - host > 1 && end[-1] == '.')
        end--;
    if (end == host || end - host >= NAME_MAX_BYTES)
        return false;
    memcpy(ret_name, host, (size_t)(end - host));
    ret_name[end - host] = '\0';
    return true;
}

/* RFC 6761, section 6.3: nobody can register a name below localhost. */
static bool is_localhost(const char *name)
{
    static const char localhost[] = "localhost";
    const size_t n = strlen(name), n_localhost = sizeof(localhost) - 1;

    return strcasecmp(name, localhost) == 0 ||
           (n > n_localhost && name[n - n_localhost - 1] == '.' &&
            strcasecmp(name + n - n_localhost, localhost) == 0);
}

/* As it calls itself, whole or its first label, and as the machines beside it do (RFC 6762, section 3). */
static bool is_of_machine(const char *name)
{
    char own[NAME_MAX_BYTES] = "", local[NAME_MAX_BYTES + 8];

    if (gethostname(own, sizeof(own) - 1) != 0 || !own[0])
        return false;
    if (strcasecmp(name, own) == 0)
        return true;
    own[strcspn(own, ".")] = '\0';
    (void)snprintf(local, sizeof(local), "%s.local", own);
    return strcasecmp(name, own) == 0 || strcasecmp(name, local) == 0;
}

static bool is_of_settings(const char *name, const struct api_gateway *settings)
{
    for (unsigned i = 0; i < settings->hosts_count; i++)
        if (strcmp(settings->hosts[i], "*") == 0 || strcasecmp(settings->hosts[i], name) == 0)
            return true;
    return false;
}

bool host_may_be_asked(const char *host, const struct api_gateway *settings)
{
    char name[NAME_MAX_BYTES];
    unsigned char address[sizeof(struct in6_addr)];
    bool in_brackets;

    if (!host)
        return true;
    if (!cut_name(host, name, &in_brackets))
        return false;
    if (in_brackets)
        return inet_pton(AF_INET6, name, address) == 1;
    return inet_pton(AF_INET, name, address) == 1 || is_localhost(name) || is_of_machine(name) ||
           is_of_settings(name, settings);
}
