/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/node_id.c - a node's id: made once, kept in DATA/nodes/NAME/id.
 *
 * The id tells two machines apart that were given one name by mistake, so a
 * file that holds anything else is not replaced silently.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/random.h"
#include "cmd/node.h"

enum { ID_DIGITS = 32, ID_FILE_MAX_BYTES = 64 };

static enum status id_path(const char *data, const char *name, char *ret_path, struct err *err)
{
    char nodes[PATH_MAX_BYTES], dir[PATH_MAX_BYTES];
    enum status s = path_join(data, "nodes", nodes, err);

    if (s == ST_OK)
        s = path_join(nodes, name, dir, err);
    if (s == ST_OK)
        s = path_make(dir, err);
    if (s == ST_OK)
        s = path_join(dir, "id", ret_path, err);
    return s;
}

static enum status id_make(const char *path, char *ret_id, struct err *err)
{
    char line[ID_DIGITS + 2];
    enum status s;

    random_hex(line, ID_DIGITS / 2);
    line[ID_DIGITS] = '\n';
    s = file_replace(path, line, ID_DIGITS + 1, err);
    if (s != ST_OK)
        return s;
    line[ID_DIGITS] = '\0';
    memcpy(ret_id, line, ID_DIGITS + 1);
    return ST_OK;
}

static enum status id_read(const char *path, const char *content, char *ret_id, struct err *err)
{
    if (strspn(content, "0123456789abcdef") != ID_DIGITS ||
        strspn(content + ID_DIGITS, "\r\n") != strlen(content + ID_DIGITS))
        return err_set(err, ST_FORMAT, "'%s' is not a node's id; remove it to have a new one made",
                       path);
    memcpy(ret_id, content, ID_DIGITS);
    ret_id[ID_DIGITS] = '\0';
    return ST_OK;
}

enum status node_id(const char *data, const char *name, char *ret_id, struct err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf content = { 0 };
    enum status s;

    s = id_path(data, name, path, err);
    if (s != ST_OK)
        return s;
    s = file_read(path, ID_FILE_MAX_BYTES, &content, err);
    if (s == ST_NOTFOUND)
        s = id_make(path, ret_id, err);
    else if (s == ST_OK)
        s = id_read(path, buf_text(&content), ret_id, err);
    buf_release(&content);
    return s;
}
