/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/spawn.c - start a runner's process with posix_spawnp(3).
 *
 * Descriptors are made close-on-exec where they are made; as a second fence
 * the child's others are closed by number, or by flag on macOS, because a
 * stray copy of a peer's socket in a runner would hide this node's death from
 * that peer.
 */
#include "cluster/supervise/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONTROL_FD = 3, ABOVE_STANDARD_FDS = 10 };

#if defined(__APPLE__)
#include <crt_externs.h>
#define SPAWN_CLOSES POSIX_SPAWN_CLOEXEC_DEFAULT
static char **environment(void)
{
    return *_NSGetEnviron();
}
#else
#define SPAWN_CLOSES 0
extern char **environ;
static char **environment(void)
{
    return environ;
}
#endif

#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 34)
#define HAS_CLOSEFROM 1
#endif
#endif

/* macOS closes by SPAWN_CLOSES, glibc 2.34 and later by number. */
static int close_others(posix_spawn_file_actions_t *actions)
{
#if defined(HAS_CLOSEFROM)
    return posix_spawn_file_actions_addclosefrom_np(actions, CONTROL_FD + 1);
#elif defined(__APPLE__)
    return posix_spawn_file_actions_addinherit_np(actions, STDERR_FILENO);
#else
    (void)actions;
    return 0;
#endif
}

/* Both ends close on exec; dup2() in the child lifts that from its copy.
 * Numbers of 10 and above never meet the child's CONTROL_FD. */
static enum status make_pair(int fds[2], struct err *err)
{
    int low[2];

    if (socketpair(AF_UNIX, SOCK_STREAM, 0, low) != 0)
        return err_errno(err, "make a socket pair for a runner");
    for (int i = 0; i < 2; i++)
        fds[i] = fcntl(low[i], F_DUPFD_CLOEXEC, ABOVE_STANDARD_FDS);
    close(low[0]);
    close(low[1]);
    if (fds[0] >= 0 && fds[1] >= 0)
        return ST_OK;
    (void)err_errno(err, "make a socket pair for a runner");
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return ST_IO;
}

static int prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int child_fd)
{
    sigset_t none, all;
    int failed;

    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    failed = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(actions, child_fd, CONTROL_FD);
    if (!failed)
        failed = close_others(actions);
    if (!failed)
        failed = posix_spawnattr_setsigmask(attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setflags(attributes,
                                          (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                  POSIX_SPAWN_SETPGROUP | SPAWN_CLOSES));
    return failed;
}

static int spawn(const char *program, char *const *argv, int child_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed;

    failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (failed)
        goto out_actions;
    failed = prepare(&actions, &attributes, child_fd);
    if (!failed)
        failed = posix_spawnp(ret_pid, program, &actions, &attributes, argv, environment());
    (void)posix_spawnattr_destroy(&attributes);
out_actions:
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

enum status spawn_runner(const char *program, pid_t *ret_pid, int *ret_fd, struct err *err)
{
    char runner[] = "runner", option[] = "--control-fd", number[] = "3";
    char *argv[] = { (char *)program, runner, option, number, NULL };

    return spawn_child(program, argv, ret_pid, ret_fd, err);
}

enum status spawn_child(const char *program, char *const *argv, pid_t *ret_pid, int *ret_fd,
                        struct err *err)
{
    int fds[2] = { -1, -1 }, failed;
    enum status s = make_pair(fds, err);

    if (s != ST_OK)
        return s;
    failed = spawn(program, argv, fds[1], ret_pid);
    close(fds[1]);
    if (failed) {
        close(fds[0]);
        return err_set(err, ST_IO, "start a process of '%s': %s", program, strerror(failed));
    }
    *ret_fd = fds[0];
    return ST_OK;
}
