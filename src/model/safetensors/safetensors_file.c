/* SPDX-License-Identifier: Apache-2.0 */
/* model/safetensors/safetensors_file.c - one file: length of the header, header, tensors' bytes.
 *
 * The header is a JSON object: tensor -> {"dtype", "shape", "data_offsets": [begin, end]}, and
 * "__metadata__", which nobody needs here.  Offsets count from the header's end.
 *
 * Source  the safetensors repository, README.md, "Format"
 */
#include "model/safetensors/safetensors_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"

/* The format's own bound on the header is 100 MB; a tensor takes about 100 bytes of it. */
enum { LENGTH_BYTES = 8, HEADER_BYTES_MAX = 32 << 20, NAME_BYTES_MAX = 256 };

static const struct {
    const char *name;
    size_t bytes;
} dtypes[N_SAFETENSORS_DTYPES] = {
    [SAFETENSORS_F32] = { "F32", 4 },   [SAFETENSORS_F16] = { "F16", 2 },
    [SAFETENSORS_BF16] = { "BF16", 2 }, [SAFETENSORS_U32] = { "U32", 4 },
    [SAFETENSORS_I32] = { "I32", 4 },   [SAFETENSORS_U8] = { "U8", 1 },
    [SAFETENSORS_I64] = { "I64", 8 },
};

const char *safetensors_dtype_name(enum safetensors_dtype dtype)
{
    return dtypes[dtype].name;
}

static enum status map_file(struct st_file *file, const char *path, struct err *err)
{
    struct stat st;
    void *mapped;
    enum status s = ST_OK;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for a pipe */

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ST_NOTFOUND, "there is no file '%s'", path);
    if (fd < 0)
        return err_errno(err, "open '%s'", path);
    if (fstat(fd, &st) != 0)
        s = err_errno(err, "look at '%s'", path);
    else if (!S_ISREG(st.st_mode) || st.st_size <= LENGTH_BYTES)
        s = err_set(err, ST_FORMAT, "it is %s",
                    S_ISREG(st.st_mode) ? "shorter than a header" : "not a regular file");
    if (s != ST_OK)
        goto out;
    mapped = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapped == MAP_FAILED) {
        s = err_errno(err, "map '%s'", path);
        goto out;
    }
    file->base = mapped;
    file->size = (size_t)st.st_size;

out:
    close(fd);
    return s;
}

static uint64_t load_le64(const unsigned char *p)
{
    uint64_t x = 0;

    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        x = x << 8 | p[i];
    return x;
}

/* ret_n_head  bytes before the tensors' */
static enum status read_header(struct st_file *file, size_t *ret_n_head, struct err *err)
{
    const uint64_t n = load_le64(file->base);
    json_error_t why;

    if (n > file->size - LENGTH_BYTES)
        return err_set(err, ST_FORMAT, "its header of %llu bytes is longer than the file",
                       (unsigned long long)n);
    if (n > HEADER_BYTES_MAX)
        return err_set(err, ST_RANGE, "its header is %llu bytes long; at most %d are read",
                       (unsigned long long)n, HEADER_BYTES_MAX);
    file->header = json_loadb((const char *)file->base + LENGTH_BYTES, (size_t)n,
                              JSON_REJECT_DUPLICATES, &why);
    if (!file->header && json_error_code(&why) == json_error_out_of_memory)
        return err_set(err, ST_NOMEM, "no memory for its header");
    if (!json_is_object(file->header))
        return err_set(err, ST_FORMAT,
                       "its header is no JSON object that begins the file, so it "
                       "is no safetensors file");
    *ret_n_head = LENGTH_BYTES + (size_t)n;
    return ST_OK;
}

static bool is_printable(const char *text)
{
    const size_t n = strlen(text);

    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return n > 0 && n <= NAME_BYTES_MAX;
}

static enum status read_dtype(const json_t *about, struct safetensors_tensor *t, struct err *err)
{
    const char *word = json_string_value(json_object_get(about, "dtype"));

    for (unsigned i = 0; word && i < N_SAFETENSORS_DTYPES; i++)
        if (strcmp(dtypes[i].name, word) == 0) {
            t->dtype = (enum safetensors_dtype)i;
            return ST_OK;
        }
    if (!word || !is_printable(word))
        return err_set(err, ST_FORMAT, "tensor '%s' has no number format", t->name);
    return err_set(err, ST_UNSUPPORTED, "tensor '%s' is of number format %.32s, not read here",
                   t->name, word);
}

/* ret_n_bytes  what the shape makes it */
static enum status read_shape(const json_t *about, struct safetensors_tensor *t,
                              size_t *ret_n_bytes, struct err *err)
{
    const json_t *shape = json_object_get(about, "shape");
    size_t n = dtypes[t->dtype].bytes;

    if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMS_MAX)
        return err_set(err, ST_FORMAT, "tensor '%s' has no shape of at most %d dimensions", t->name,
                       SAFETENSORS_DIMS_MAX);
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < SAFETENSORS_DIMS_MAX; i++) {
        const json_t *dim = json_array_get(shape, i);

        t->dims[i] = 1;
        if (i >= t->n_dims)
            continue;
        if (!json_is_integer(dim) || json_integer_value(dim) < 1 ||
            !size_mul(n, (size_t)json_integer_value(dim), &n))
            return err_set(err, ST_FORMAT, "tensor '%s' has an impossible dimension", t->name);
        t->dims[i] = (uint64_t)json_integer_value(dim);
    }
    *ret_n_bytes = n;
    return ST_OK;
}

static enum status read_place(const json_t *about, const struct st_file *file, size_t n_head,
                              size_t n_bytes, struct safetensors_tensor *t, struct err *err)
{
    const json_t *offsets = json_object_get(about, "data_offsets");
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    uint64_t begin, end;

    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to) ||
        json_integer_value(from) < 0 || json_integer_value(to) < 0)
        return err_set(err, ST_FORMAT, "tensor '%s' has no place in the file", t->name);
    begin = (uint64_t)json_integer_value(from);
    end = (uint64_t)json_integer_value(to);
    if (begin > end || end > file->size - n_head)
        return err_set(err, ST_FORMAT, "tensor '%s' ends beyond the file, at byte %llu of %zu",
                       t->name, (unsigned long long)end, file->size - n_head);
    if (end - begin != n_bytes)
        return err_set(err, ST_FORMAT, "tensor '%s' has %llu bytes where its shape makes it %zu",
                       t->name, (unsigned long long)(end - begin), n_bytes);
    t->data = file->base + n_head + begin;
    t->n_bytes = n_bytes;
    return ST_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct safetensors_tensor *x = a, *y = b;

    return (x->data > y->data) - (x->data < y->data);
}

/* README.md: the buffer is indexed entirely, without holes. */
static enum status check_places(const struct st_file *file, size_t n_head, struct err *err)
{
    const unsigned char *next = file->base + n_head;

    qsort(file->tensors, file->n_tensors, sizeof(*file->tensors), by_place);
    for (size_t i = 0; i < file->n_tensors; i++) {
        if (file->tensors[i].data != next)
            return err_set(err, ST_FORMAT, "tensor '%s' shares bytes with another, or leaves a gap",
                           file->tensors[i].name);
        next += file->tensors[i].n_bytes;
    }
    if (next != file->base + file->size)
        return err_set(err, ST_FORMAT, "it is longer than its tensors: was it damaged?");
    return ST_OK;
}

static enum status read_tensors(struct st_file *file, size_t n_head, struct err *err)
{
    const char *name;
    json_t *about;
    enum status s = ST_OK;

    file->tensors = calloc(size_max(json_object_size(file->header), 1), sizeof(*file->tensors));
    if (!file->tensors)
        return err_set(err, ST_NOMEM, "no memory for the tensors' places");
    json_object_foreach(file->header, name, about)
    {
        struct safetensors_tensor *t = &file->tensors[file->n_tensors];
        size_t n_bytes = 0;

        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (!is_printable(name))
            return err_set(err, ST_FORMAT, "a tensor's name is no printable ASCII of 1 to %d bytes",
                           NAME_BYTES_MAX);
        t->name = name;
        s = read_dtype(about, t, err);
        if (s == ST_OK)
            s = read_shape(about, t, &n_bytes, err);
        if (s == ST_OK)
            s = read_place(about, file, n_head, n_bytes, t, err);
        if (s != ST_OK)
            return s;
        file->n_tensors++;
    }
    return check_places(file, n_head, err);
}

enum status st_file_open(struct st_file *file, const char *path, struct err *err)
{
    size_t n_head;
    enum status s = map_file(file, path, err);

    if (s == ST_NOTFOUND)
        return s;
    if (s == ST_OK)
        s = read_header(file, &n_head, err);
    if (s == ST_OK)
        s = read_tensors(file, n_head, err);
    if (s != ST_OK)
        err_wrap(err, "read '%s'", path);
    return s;
}

void st_file_release(struct st_file *file)
{
    free(file->tensors);
    json_decref(file->header);
    if (file->base)
        munmap(file->base, file->size);
    *file = (struct st_file){ 0 };
}
