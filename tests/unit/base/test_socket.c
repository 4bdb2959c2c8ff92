/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_socket.c - connections ask the system to watch their link. */
#include "support/check.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/socket.h"

static int option(int fd, int level, int name)
{
    socklen_t n = sizeof(int);
    int value = -1;

    assert_int_equal(getsockopt(fd, level, name, &value, &n), 0);
    return value;
}

static void silence_of_the_other_machine_ends_a_connection_in_seconds(void **state)
{
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    socket_watch_link(fd);
    assert_true(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0);
    assert_true(option(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option(fd, IPPROTO_TCP, TCP_KEEPCNT) <
                LINK_DEAD_S);
#if defined(TCP_USER_TIMEOUT)
    assert_int_equal(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), LINK_DEAD_S * 1000);
#endif
    close(fd);
}

static void what_is_no_tcp_socket_is_left_alone(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    socket_watch_link(fds[0]);
    assert_int_equal(write(fds[0], "x", 1), 1);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_of_the_other_machine_ends_a_connection_in_seconds),
        cmocka_unit_test(what_is_no_tcp_socket_is_left_alone),
    };

    return cmocka_run_group_tests_name("base/socket", tests, NULL, NULL);
}
