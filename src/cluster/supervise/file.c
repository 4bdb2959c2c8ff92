/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/file.c - where a node finds a model's file: here, or at whom.
 *
 * A model is known by its digest: a file of the same name and other content is another model.
 * What is fetched lies in SHARD_DIR/DIGEST/model.gguf.  A node whose port for pieces is known
 * gives and takes them; older ones do neither.
 */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "cluster/cluster_priv.h"

static bool holds(const struct member *m, const uint8_t *digest)
{
    for (size_t i = 0; i < m->n_models; i++)
        if (memcmp(m->models[i].digest, digest, MODEL_DIGEST_BYTES) == 0)
            return true;
    return false;
}

static bool gives(const struct member *m, const uint8_t *digest)
{
    return m->info.is_alive && m->info.share_port != 0 && holds(m, digest);
}

bool file_may_fetch(const struct cluster *cluster, const struct member *member,
                    const uint8_t *digest)
{
    if (member->info.share_port == 0)
        return false;
    for (size_t i = 0; i < cluster->n_members; i++)
        if (&cluster->members[i] != member && gives(&cluster->members[i], digest))
            return true;
    return false;
}

static bool path_here(const struct cluster *cluster, const uint8_t *digest, char *ret_path)
{
    for (size_t i = 0; i < cluster->self->n_models; i++) {
        if (memcmp(cluster->self->models[i].digest, digest, MODEL_DIGEST_BYTES) != 0)
            continue;
        (void)snprintf(ret_path, PATH_MAX_BYTES, "%s", cluster->paths[i]);
        return true;
    }
    return false;
}

/* From the next in the ring on, so that nodes that fetch at a time begin at different ones. */
static void list_sources(const struct cluster *cluster, const uint8_t *digest,
                         struct cluster_file *file)
{
    const size_t self = (size_t)(cluster->self - cluster->members);

    for (size_t i = 1; i < cluster->n_members && file->n_sources < CLUSTER_SOURCES_MAX; i++) {
        const struct member *m = &cluster->members[(self + i) % cluster->n_members];

        if (!gives(m, digest))
            continue;
        memcpy(file->sources[file->n_sources].host, m->info.host, HOST_MAX);
        file->sources[file->n_sources++].port = m->info.share_port;
    }
}

enum status file_find(const struct cluster *cluster, const char *model, const uint8_t *digest,
                      struct cluster_file *ret_file, struct err *err)
{
    struct cluster_file file = { .key = cluster->has_share_key ? cluster->share_key : NULL };
    char name[2 * MODEL_DIGEST_BYTES + 1];
    int n;

    if (path_here(cluster, digest, file.path)) {
        *ret_file = file;
        return ST_OK;
    }
    list_sources(cluster, digest, &file);
    if ((!cluster->shard_dir || file.n_sources == 0) && member_model(cluster->self, model))
        return err_set(err, ST_NOTFOUND, "node '%s' holds another file under the name '%s'",
                       cluster->self->info.name, model);
    if (!cluster->shard_dir || file.n_sources == 0)
        return err_set(err, ST_NOTFOUND, "node '%s' does not hold '%s'%s", cluster->self->info.name,
                       model, cluster->shard_dir ? ", and no alive node gives it" : "");
    hex_write(digest, MODEL_DIGEST_BYTES, name);
    n = snprintf(file.path, sizeof(file.path), "%s/%s/model.gguf", cluster->shard_dir, name);
    if (n < 0 || (size_t)n >= sizeof(file.path))
        return err_set(err, ST_RANGE, "the path of the folder of fetched models is too long");
    *ret_file = file;
    return ST_OK;
}

enum status cluster_file(const struct cluster *cluster, const struct model_info *model,
                         struct cluster_file *ret_file, struct err *err)
{
    return file_find(cluster, model->name, model->digest, ret_file, err);
}
