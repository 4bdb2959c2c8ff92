/* SPDX-License-Identifier: Apache-2.0 */
/* base/run_folder.c - sockets by which processes of one user find one another. */
#include "base/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOOK_AGAIN_NS = 20000000, ONE_WAITS = 1 };

/* A link, or a folder that others may write to, could lead to another's sockets. */
static enum status check_folder(const char *folder, struct err *err)
{
    struct stat st;

    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return err_errno(err, "make the folder '%s'", folder);
    if (lstat(folder, &st) != 0)
        return err_errno(err, "look at the folder '%s'", folder);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return err_set(err, ST_DENIED, "'%s' is not a folder that is this user's alone: remove it",
                       folder);
    return ST_OK;
}

enum status run_path(const char *name, char *ret_path, struct err *err)
{
    char folder[64];
    enum status s;

    (void)snprintf(folder, sizeof(folder), "/tmp/pomona-%lu", (unsigned long)geteuid());
    s = check_folder(folder, err);
    return s == ST_OK ? path_join(folder, name, ret_path, err) : s;
}

static enum status address_of(const char *name, struct sockaddr_un *ret_address, struct err *err)
{
    char path[PATH_MAX_BYTES];
    const enum status s = run_path(name, path, err);

    if (s != ST_OK)
        return s;
    *ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof(ret_address->sun_path))
        return err_set(err, ST_RANGE, "the path of a socket, '%s', is too long", path);
    memcpy(ret_address->sun_path, path, strlen(path) + 1);
    return ST_OK;
}

static int socket_new(void)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

enum status run_listen(const char *name, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    enum status s = address_of(name, &address, err);
    int fd;

    if (s != ST_OK)
        return s;
    (void)unlink(address.sun_path);
    fd = socket_new();
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, ONE_WAITS) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        s = err_errno(err, "listen at '%s'", address.sun_path);
        if (fd >= 0)
            close(fd);
        return s;
    }
    *ret_fd = fd;
    return ST_OK;
}

enum status run_connect(const char *name, uint64_t deadline_ns, int *ret_fd, struct err *err)
{
    const struct timespec look_again = { 0, LOOK_AGAIN_NS };
    struct sockaddr_un address;
    const enum status s = address_of(name, &address, err);

    if (s != ST_OK)
        return s;
    for (;;) {
        const int fd = socket_new();

        if (fd < 0)
            return err_errno(err, "make a socket for '%s'", address.sun_path);
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
            *ret_fd = fd;
            return ST_OK;
        }
        close(fd);
        if (errno != ENOENT && errno != ECONNREFUSED && errno != EINTR && errno != EAGAIN)
            return err_errno(err, "connect to '%s'", address.sun_path);
        if (clock_ns() >= deadline_ns)
            return err_set(err, ST_DEADLINE,
                           "no node on this machine listens at '%s': it runs as another user, or "
                           "with a /tmp of its own",
                           address.sun_path);
        (void)nanosleep(&look_again, NULL);
    }
}

#if defined(__linux__)
pid_t run_peer(int fd)
{
    struct ucred peer = { 0 };
    socklen_t n = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 ? peer.pid : 0;
}
#elif defined(LOCAL_PEERPID)
pid_t run_peer(int fd)
{
    pid_t peer = 0;
    socklen_t n = sizeof(peer);

    return getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &peer, &n) == 0 ? peer : 0;
}
#else
pid_t run_peer(int fd)
{
    (void)fd;
    return 0;
}
#endif
