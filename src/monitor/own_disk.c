/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/own_disk.c - how full and how slow a disk is, and how long a certificate is good. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/paths.h"
#include "base/random.h"
#include "monitor/own.h"

enum { ROOM_FACTOR = 8, PAGE_BYTES = 4096, CERTIFICATE_MAX_BYTES = 1 << 20 };

static const double LARGE_DISK_BYTES = 256e9;

/* Seconds until a page of a new file is on disk; the file has no name, so a power cut leaves none. */
static double sync_seconds(const char *folder)
{
    char path[PATH_MAX_BYTES], page[PAGE_BYTES] = { 0 };
    const uint64_t begun_ns = clock_ns();
    double seconds = (double)NAN;
    int fd;

    if (path_join(folder, ".pomona-sync-XXXXXX", path, NULL) != ST_OK)
        return seconds;
    fd = mkstemp(path);
    if (fd < 0)
        return seconds;
    (void)unlink(path);
    if (file_write_all(fd, page, sizeof(page)) == ST_OK && fsync(fd) == 0)
        seconds = (double)(clock_ns() - begun_ns) / (double)NS_PER_S;
    (void)close(fd);
    return seconds;
}

enum status own_disk(const char *path, struct own_disk *ret, struct err *err)
{
    struct statvfs st;
    double all;

    if (statvfs(path, &st) != 0)
        return err_errno(err, "the disk of '%s'", path);
    all = fmin((double)st.f_blocks * (double)st.f_frsize, LARGE_DISK_BYTES);
    ret->free = all > 0 ? fmin(1, (double)st.f_bavail * (double)st.f_frsize / all) : (double)NAN;
    ret->sync_s = sync_seconds(path);
    return ST_OK;
}

/* A file of SPEED_PROBE_BYTES without a name, written; what it took, and that of reading it from the disk.  What is
 * on disk is dropped from the system's cache first, where it can be asked to: else memory would be timed. */
static enum status time_file(int fd, char *bytes, struct own_speed *ret)
{
    const double megabytes = SPEED_PROBE_BYTES / 1e6;
    uint64_t begun_ns = clock_ns();

    if (file_write_all(fd, bytes, SPEED_PROBE_BYTES) != ST_OK || fsync(fd) != 0)
        return ST_IO;
    ret->write_mb_s = megabytes * (double)NS_PER_S / (double)(clock_ns() - begun_ns + 1);
#if defined(POSIX_FADV_DONTNEED)
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
#elif defined(F_NOCACHE)
    (void)fcntl(fd, F_NOCACHE, 1);
#endif
    begun_ns = clock_ns();
    for (size_t n_done = 0; n_done < SPEED_PROBE_BYTES;) {
        const ssize_t n = pread(fd, bytes, SPEED_PROBE_BYTES - n_done, (off_t)n_done);

        if (n <= 0)
            return ST_IO;
        n_done += (size_t)n;
    }
    ret->read_mb_s = megabytes * (double)NS_PER_S / (double)(clock_ns() - begun_ns + 1);
    return ST_OK;
}

enum status own_speed(const char *path, struct own_speed *ret, struct err *err)
{
    char name[PATH_MAX_BYTES];
    struct statvfs st;
    enum status s = path_join(path, ".pomona-speed-XXXXXX", name, err);
    char *bytes;
    int fd;

    *ret = (struct own_speed){ (double)NAN, (double)NAN };
    if (s != ST_OK)
        return s;
    if (statvfs(path, &st) != 0)
        return err_errno(err, "the disk of '%s'", path);
    if ((double)st.f_bavail * (double)st.f_frsize < ROOM_FACTOR * (double)SPEED_PROBE_BYTES)
        return err_set(err, ST_FULL, "the disk of '%s' has no room for a probe", path);
    fd = mkstemp(name);
    if (fd < 0)
        return err_errno(err, "a file in '%s'", path);
    (void)unlink(name);
    bytes = malloc(SPEED_PROBE_BYTES);
    if (bytes) /* not zeros: a file system may write these as nothing */
        random_bytes(bytes, SPEED_PROBE_BYTES);
    s = bytes ? time_file(fd, bytes, ret) : ST_NOMEM;
    if (s != ST_OK)
        (void)err_set(err, s, "how fast the disk of '%s' is could not be measured", path);
    free(bytes);
    (void)close(fd);
    return s;
}

static enum status read_days(X509 *certificate, const char *path, int64_t now, double *ret_days,
                             struct err *err)
{
    struct tm end;
    time_t end_s;

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end))
        return err_set(err, ST_FORMAT, "'%s' does not say until when it is good", path);
    end_s = timegm(&end);
    *ret_days = (double)(end_s - now) / 86400;
    return ST_OK;
}

enum status own_certificate_days(const char *path, int64_t now, double *ret_days, struct err *err)
{
    struct buf text = { 0 };
    X509 *certificate = NULL;
    BIO *bio = NULL;
    enum status s = file_read(path, CERTIFICATE_MAX_BYTES, &text, err);

    if (s == ST_OK) {
        bio = BIO_new_mem_buf(buf_text(&text), (int)text.len);
        certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        s = certificate ? read_days(certificate, path, now, ret_days, err)
                        : err_set(err, ST_FORMAT, "'%s' has no certificate in PEM", path);
    }
    X509_free(certificate);
    BIO_free(bio);
    buf_release(&text);
    return s;
}
