/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/test_notify.c - the service manager is told, where there is one, and never waited for. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

struct manager {
    char folder[32], path[64];
    int fd;
};

static int setup(void **state)
{
    static struct manager m;
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    (void)snprintf(m.folder, sizeof(m.folder), "/tmp/notify-XXXXXX");
    assert_non_null(mkdtemp(m.folder));
    (void)snprintf(m.path, sizeof(m.path), "%s/socket", m.folder);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", m.path);
    m.fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(m.fd >= 0);
    assert_int_equal(bind(m.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", m.path, 1), 0);
    *state = &m;
    return 0;
}

static int teardown(void **state)
{
    struct manager *m = *state;

    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    (void)close(m->fd);
    (void)unlink(m->path);
    return rmdir(m->folder);
}

/* What came, "" for nothing. */
static const char *heard(const struct manager *m)
{
    static char bytes[NOTIFY_MAX_BYTES + 1];
    const ssize_t n = recv(m->fd, bytes, NOTIFY_MAX_BYTES, MSG_DONTWAIT);

    bytes[n > 0 ? n : 0] = '\0';
    return bytes;
}

static void the_manager_hears_each_message_as_one(void **state)
{
    struct manager *m = *state;

    notify_send("READY=1\nSTATUS=%d nodes", 3);
    notify_send("WATCHDOG=1");
    assert_string_equal(heard(m), "READY=1\nSTATUS=3 nodes");
    assert_string_equal(heard(m), "WATCHDOG=1");
    assert_string_equal(heard(m), "");
}

static void a_long_message_is_cut(void **state)
{
    struct manager *m = *state;

    notify_send("STATUS=%0*d", 4 * NOTIFY_MAX_BYTES, 1);
    assert_int_equal(strlen(heard(m)), NOTIFY_MAX_BYTES - 1);
}

static void a_manager_that_does_not_read_is_not_waited_for(void **state)
{
    struct manager *m = *state;

    for (unsigned i = 0; i < 5000; i++) /* more than any queue of a socket holds */
        notify_send("WATCHDOG=1");
    assert_string_equal(heard(m), "WATCHDOG=1");
}

static void without_a_manager_nothing_is_sent(void **state)
{
    static const char *const names[] = { "", "@", "/", "relative", "/no/such/socket" };
    char longer[300];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        (void)setenv("NOTIFY_SOCKET", names[i], 1);
        notify_send("READY=1");
    }
    memset(longer, '/', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    (void)setenv("NOTIFY_SOCKET", longer, 1);
    notify_send("READY=1");
    (void)unsetenv("NOTIFY_SOCKET");
    notify_send("READY=1");
    assert_string_equal(heard(*state), "");
}

static void the_watchdog_is_for_the_process_that_it_names(void **state)
{
    char self[32];

    (void)state;
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    (void)setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)snprintf(self, sizeof(self), "%ld", (long)getpid());
    (void)setenv("WATCHDOG_PID", self, 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    (void)setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
    (void)setenv("WATCHDOG_USEC", "99999999999999999999999", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_manager_hears_each_message_as_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_message_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(a_manager_that_does_not_read_is_not_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_is_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_for_the_process_that_it_names, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
