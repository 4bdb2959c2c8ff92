/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/file.c - where a node finds a model's file: here, at whom, or on which hub.
 *
 * A model is known by its digest: a file of the same name and other content is another model.
 * The digest is of the file's head; which weights follow, the root says that nodes tell of the
 * files they hashed.  Where these differ, one of the files is damaged or somebody lies: the root
 * that most alive nodes have is meant, on every rank of a placing, and who has another is
 * neither asked nor believed.
 *
 * What is fetched lies in SHARD_DIR/DIGEST/model.gguf.  A node whose port for pieces is known
 * gives and takes them; older ones do neither.
 */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"
#include "cluster/topology/figures.h"

static const struct model_info *of_digest(const struct model_info *models, size_t n,
                                          const uint8_t *digest)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(models[i].digest, digest, MODEL_DIGEST_BYTES) == 0)
            return &models[i];
    return NULL;
}

static const struct model_info *whole_of(const struct member *m, const uint8_t *digest)
{
    return of_digest(m->models, m->n_models, digest);
}

static const struct model_info *part_of(const struct member *m, const uint8_t *digest)
{
    return of_digest(m->parts, m->n_parts, digest);
}

/* The file, as `m` tells of it. */
static const struct model_info *told_of(const struct member *m, const uint8_t *digest)
{
    const struct model_info *whole = whole_of(m, digest);

    return whole ? whole : part_of(m, digest);
}

/* Who has not hashed its file yet, or is older, may be right. */
static bool may_be(const struct model_info *file, const uint8_t *root)
{
    return !root || !file->has_root || memcmp(file->root, root, sizeof(file->root)) == 0;
}

bool file_is_held(const struct member *member, const uint8_t *digest, const uint8_t *root)
{
    const struct model_info *whole = whole_of(member, digest);

    return whole && may_be(whole, root);
}

static bool can_share(const struct member *m)
{
    return m->info.is_alive && m->info.share_port != 0;
}

/* ---- which content is meant ---- */

static size_t count_votes(const struct cluster *cluster, const uint8_t *digest, const uint8_t *root)
{
    size_t n = 0;

    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[i];
        const struct model_info *file = m->info.is_alive ? told_of(m, digest) : NULL;

        n += file && file->has_root && memcmp(file->root, root, sizeof(file->root)) == 0;
    }
    return n;
}

struct vote {
    const struct member *by; /* one of those who have it */
    const struct model_info *file;
    size_t n;
};

static bool is_same_root(const struct model_info *a, const struct model_info *b)
{
    return a && b && a->has_root && b->has_root && memcmp(a->root, b->root, sizeof(a->root)) == 0;
}

/* Put `vote` where it belongs: of two as frequent ones, this node's own is believed. */
static void weigh(const struct model_info *own, const struct vote *vote, struct vote *best,
                  struct vote *rival)
{
    if (vote->n > best->n) {
        *best = *vote;
        *rival = (struct vote){ 0 };
    } else if (vote->n == best->n && !is_same_root(vote->file, best->file)) {
        *rival = is_same_root(own, vote->file) ? *best : *vote;
        *best = is_same_root(own, vote->file) ? *vote : *best;
    }
}

enum status file_root(const struct cluster *cluster, const char *model, const uint8_t *digest,
                      bool *ret_has_root, uint8_t *ret_root, struct err *err)
{
    const struct model_info *own = told_of(cluster->self, digest);
    struct vote best = { 0 }, rival = { 0 };

    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[i];
        struct vote vote = { .by = m, .file = m->info.is_alive ? told_of(m, digest) : NULL };

        if (!vote.file || !vote.file->has_root)
            continue;
        vote.n = count_votes(cluster, digest, vote.file->root);
        weigh(own, &vote, &best, &rival);
    }
    if (rival.by && !is_same_root(own, best.file))
        return err_set(err, ST_FORMAT,
                       "nodes '%s' and '%s' hold different files that both pass for '%s': remove "
                       "the damaged one, or fetch the model again",
                       best.by->info.name, rival.by->info.name, model);
    *ret_has_root = best.file != NULL;
    if (best.file)
        memcpy(ret_root, best.file->root, sizeof(best.file->root));
    return ST_OK;
}

/* ---- who gives it ---- */

static const char *origin_of(const struct cluster *cluster, const uint8_t *digest)
{
    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[i];
        const struct model_info *file = m->info.is_alive ? told_of(m, digest) : NULL;

        if (file && file->origin[0])
            return file->origin;
    }
    return "";
}

/* A hub gives pieces and no hashes of them: these come from who has a part, be it this node. */
bool file_may_fetch(const struct cluster *cluster, const struct member *member,
                    const uint8_t *digest)
{
    if (member->info.share_port == 0)
        return false;
    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = &cluster->members[i];

        if (m != member && can_share(m) && told_of(m, digest))
            return true; /* of parts it is known only when they are asked for whether they do */
    }
    return part_of(member, digest) && origin_of(cluster, digest)[0];
}

static bool path_here(const struct cluster *cluster, const uint8_t *digest, const uint8_t *root,
                      char *ret_path)
{
    const struct model_info *whole = whole_of(cluster->self, digest);

    if (!whole || !may_be(whole, root))
        return false;
    (void)snprintf(ret_path, PATH_MAX_BYTES, "%s", cluster->paths[whole - cluster->self->models]);
    return true;
}

/* How good a source somebody is, from the best on. */
enum rank { HAS_ALL, HAS_PART, IS_ABOUT_TO, MAY_BE_LATER, N_RANKS, HAS_ANOTHER };

static enum rank rank_of(const struct cluster *cluster, const struct member *m, const char *model,
                         const uint8_t *digest, const uint8_t *root)
{
    const struct model_info *file = told_of(m, digest);

    if (file && !may_be(file, root))
        return HAS_ANOTHER;
    if (file)
        return file->is_part ? HAS_PART : HAS_ALL;
    for (const struct instance *in = cluster->instances; in; in = in->next)
        if (strcmp(in->view.view.model, model) == 0 && instance_rank_of(in, m->info.name) >= 0)
            return IS_ABOUT_TO;
    return MAY_BE_LATER; /* it is asked now and then, which costs little */
}

static void add_source(const struct cluster *cluster, struct cluster_file *file,
                       const struct member *m, bool is_part)
{
    ways_to(cluster, m, WAY_PIECES_BYTES, &file->sources[file->n_sources].hosts);
    memcpy(file->sources[file->n_sources].host, m->info.host, HOST_MAX);
    file->sources[file->n_sources].port = m->info.share_port;
    file->sources[file->n_sources++].is_part = is_part;
}

/* From the next in the ring on, so that nodes that fetch at a time begin at different ones. */
static void list_sources(const struct cluster *cluster, const char *model, const uint8_t *digest,
                         const uint8_t *root, struct cluster_file *file)
{
    const size_t self = (size_t)(cluster->self - cluster->members);

    for (enum rank rank = HAS_ALL; rank < N_RANKS; rank++)
        for (size_t i = 1; i < cluster->n_members && file->n_sources < CLUSTER_SOURCES_MAX; i++) {
            const struct member *m = &cluster->members[(self + i) % cluster->n_members];

            if (can_share(m) && rank_of(cluster, m, model, digest, root) == rank)
                add_source(cluster, file, m, rank != HAS_ALL);
        }
}

/* The ring is the same on every node, so nodes that fetch at a time begin far from each other. */
static double begin_of(const struct cluster *cluster)
{
    size_t place = 0;

    while (cluster->ring[place] != cluster->self)
        place++;
    return (double)place / (double)cluster->n_members;
}

static enum status nobody_gives(const struct cluster *cluster, const char *model, struct err *err)
{
    const char *self = cluster->self->info.name;

    if (member_model(cluster->self, model))
        return err_set(err, ST_NOTFOUND, "node '%s' holds another file under the name '%s'", self,
                       model);
    return err_set(err, ST_NOTFOUND, "node '%s' does not hold '%s'%s", self, model,
                   cluster->shard_dir ? ", and neither an alive node nor a hub gives it" : "");
}

enum status file_find(const struct cluster *cluster, const char *model, const uint8_t *digest,
                      const uint8_t *root, struct cluster_file *ret_file, struct err *err)
{
    struct cluster_file file = {
        .key = cluster->has_share_key ? cluster->share_key : NULL,
        .has_root = root != NULL,
    };
    char name[2 * MODEL_DIGEST_BYTES + 1];
    enum status s = ST_OK;
    int n;

    if (root)
        memcpy(file.root, root, sizeof(file.root));
    else
        s = file_root(cluster, model, digest, &file.has_root, file.root, err);
    if (s != ST_OK)
        return s;
    root = file.has_root ? file.root : NULL;
    file.is_fetched = !path_here(cluster, digest, root, file.path);
    if (!file.is_fetched) {
        *ret_file = file;
        return ST_OK;
    }
    if (whole_of(cluster->self, digest))
        log_warn("the file of '%s' is not the other nodes': its part is fetched from them", model);
    list_sources(cluster, model, digest, root, &file);
    file.begin = begin_of(cluster);
    (void)snprintf(file.origin, sizeof(file.origin), "%s", origin_of(cluster, digest));
    memcpy(file.hub_endpoint, cluster->hub_endpoint, sizeof(file.hub_endpoint));
    memcpy(file.hub_token, cluster->hub_token, sizeof(file.hub_token));
    if (!cluster->shard_dir || !file_may_fetch(cluster, cluster->self, digest))
        return nobody_gives(cluster, model, err);
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
    return file_find(cluster, model->name, model->digest, NULL, ret_file, err);
}
