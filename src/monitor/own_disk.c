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
#include "monitor/own.h"

enum { PAGE_BYTES = 4096, CERTIFICATE_MAX_BYTES = 1 << 20 };

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

    if (statvfs(path, &st) != 0)
        return err_errno(err, "the disk of '%s'", path);
    ret->free = st.f_blocks > 0 ? (double)st.f_bavail / (double)st.f_blocks : (double)NAN;
    ret->sync_s = sync_seconds(path);
    return ST_OK;
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
