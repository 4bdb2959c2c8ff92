/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_path_mtu.c - how large a packet goes to this machine itself. */
#include "support/check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/path_mtu.h"

/* A socket at a free port of loopback; *ret_port. */
static int bound(int type, uint16_t *ret_port)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t n = sizeof(at);
    const int fd = socket(AF_INET, type, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void loopback_takes_large_packets(void **state)
{
    struct address to;
    struct err err;
    uint32_t bytes = 0;
    uint16_t port;
    const int fd = bound(SOCK_STREAM, &port);

    (void)state;
    assert_int_equal(listen(fd, 4), 0);
    assert_ok(address_parse("127.0.0.1", port, &to, &err), err);
    assert_ok(path_mtu(&to, 60000, &bytes, &err), err);
    assert_true(bytes >= 1500 && bytes <= 65536);
    (void)close(fd);
}

static void where_nobody_listens_there_is_no_answer(void **state)
{
    struct address to;
    struct err err;
    uint32_t bytes = 7;
    uint16_t port;
    const int fd = bound(SOCK_STREAM, &port); /* bound, and not listening: refused */

    (void)state;
    assert_ok(address_parse("127.0.0.1", port, &to, &err), err);
    assert_int_equal(path_mtu(&to, 60000, &bytes, &err), ST_PEER);
    assert_int_equal(bytes, 7);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_takes_large_packets),
        cmocka_unit_test(where_nobody_listens_there_is_no_answer),
    };
    return cmocka_run_group_tests_name("base/path_mtu", tests, NULL, NULL);
}
