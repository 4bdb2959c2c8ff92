/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/fetch.c - get the part of a model that a shard reads from peers that hold it. */
#include "model/share/fetch.h"

#include <string.h>
#include <sys/statvfs.h>

#include "base/paths.h"
#include "model/arch/arch.h"
#include "model/share/parts.h"
#include "model/share/shard_pieces.h"
#include "model/store/hub.h"

enum {
    LOCK_MS = 120000,      /* another runner of this node fetches the same model */
    ROOM_BYTES = 64 << 20, /* left on the disk: a full one stops more than this program */
};

struct fetch {
    const struct fetch_options *options;
    bool knows_total; /* what the layers need is known */
    struct manifest manifest;
    struct swarm *swarm;
    struct partial *partial;
    struct piece_map wanted;
};

/* Of the portion that is asked for; the sizes are in the head. */
static enum status find_portion(const struct fetch_options *o, const struct gguf *gguf,
                                struct piece_map *wanted, struct err *err)
{
    struct portion all[PORTION_MEMBERS_MAX];
    struct model_shape shape;
    struct piece_cut cut;
    const struct arch *arch;
    enum status s = arch_of(gguf, &arch, err);

    if (s == ST_OK)
        s = arch->read_shape(gguf, &shape, err);
    if (s != ST_OK)
        return s;
    const struct portion_whole whole = { shape.n_head, shape.n_kv_head, shape.head_dim, shape.n_ff,
                                         shape.n_vocab };

    s = portion_cut(&whole, o->shares, o->n_shares, all, err);
    if (s != ST_OK)
        return s;
    cut = (struct piece_cut){ all[o->member], shape.n_kv_head, shape.n_ff, shape.n_vocab };
    return shard_pieces(gguf, o->first_layer, o->n_layers, &cut, wanted, err);
}

/* Add what the layers need to `wanted`, by the head of the file, which is here. */
static enum status find_wanted(const struct fetch_options *o, struct piece_map *wanted,
                               struct err *err)
{
    uint8_t digest[MODEL_DIGEST_BYTES];
    struct gguf *gguf;
    size_t head_bytes;
    enum status s = gguf_open(o->path, &gguf, err);

    if (s != ST_OK)
        return s;
    (void)gguf_head(gguf, &head_bytes);
    gguf_digest(gguf, digest);
    if (memcmp(digest, o->from.digest, sizeof(digest)) != 0)
        s = err_set(err, ST_FORMAT, "'%s' begins as another model than the one asked for", o->path);
    else if (o->n_layers == 0)
        piece_map_add(wanted, 0, head_bytes);
    else if (o->n_shares > 0)
        s = find_portion(o, gguf, wanted, err);
    else
        s = shard_pieces(gguf, o->first_layer, o->n_layers, NULL, wanted, err);
    gguf_free(gguf);
    return s;
}

/* All of the shard lies here, as it was checked.  The head is checked by the model's digest,
 * also after a crash. */
static bool is_here(const struct fetch_options *o, struct fetch_result *result)
{
    struct piece_map here = { 0 }, wanted = { 0 };
    bool is_whole;

    if (piece_map_read(o->path, &here, NULL) != ST_OK)
        return false;
    is_whole = (here.is_clean || o->n_layers == 0) &&
               (!o->from.root || memcmp(here.root, o->from.root, sizeof(here.root)) == 0) &&
               piece_map_init(&wanted, here.file_bytes, here.piece_bytes, NULL) == ST_OK &&
               find_wanted(o, &wanted, NULL) == ST_OK && piece_map_count(&wanted, &here) == 0;
    if (is_whole)
        result->shard_bytes = piece_map_count(&wanted, NULL);
    piece_map_release(&here);
    piece_map_release(&wanted);
    return is_whole;
}

static enum status make_folder(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX_BYTES];

    if (!slash || slash == path || (size_t)(slash - path) >= sizeof(folder))
        return ST_OK;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    return path_make(folder, err);
}

static enum status check_room(const struct fetch *f, struct err *err)
{
    const uint64_t needed = piece_map_count(&f->wanted, partial_pieces(f->partial));
    struct statvfs disk;
    uint64_t room;

    if (needed == 0 || statvfs(f->options->path, &disk) != 0)
        return ST_OK; /* writing will tell */
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room >= needed && room - needed >= ROOM_BYTES)
        return ST_OK;
    return err_set(err, ST_FULL,
                   "the layers need %llu MiB more, and the disk of '%s' has %llu MiB left, of "
                   "which %d stay free",
                   (unsigned long long)(needed >> 20) + 1, f->options->path,
                   (unsigned long long)(room >> 20), ROOM_BYTES >> 20);
}

static enum status fetch_wanted(struct fetch *f, struct fetch_result *result, struct err *err)
{
    const uint64_t missing = piece_map_count(&f->wanted, partial_pieces(f->partial));
    enum status s = check_room(f, err);

    if (s == ST_OK)
        s = swarm_pieces(f->swarm, &f->manifest, &f->wanted, f->partial, err);
    if (s == ST_OK)
        result->fetched_bytes += missing;
    return s;
}

static void on_progress(void *arg, const struct fetch_progress *progress)
{
    const struct fetch *f = arg;
    struct fetch_progress told = *progress;

    if (!f->knows_total) /* the manifest, or the head: of a total that is not known yet */
        told = (struct fetch_progress){ .bytes_per_s = progress->bytes_per_s };
    f->options->from.on_progress(f->options->from.arg, &told);
}

static enum status open_swarm(struct fetch *f, struct err *err)
{
    struct swarm_options options = f->options->from;
    struct hub_file hub;

    if (f->options->origin && f->options->origin[0] &&
        hub_find_origin(f->options->origin, f->options->hub_endpoint, &hub, NULL) == ST_OK) {
        options.hub_url = hub.url;
        options.hub_token = hub.is_of_endpoint ? f->options->hub_token : NULL;
    }
    if (options.on_progress) {
        options.on_progress = on_progress;
        options.arg = f;
    }
    return swarm_new(&options, &f->swarm, err);
}

/* The one of an earlier fetch, or a source's. */
static enum status get_manifest(struct fetch *f, struct err *err)
{
    const struct swarm_options *from = &f->options->from;
    char path[PATH_MAX_BYTES];
    enum status s = part_manifest_path(f->options->path, path, err);

    if (s != ST_OK)
        return s;
    if (manifest_read(path, &f->manifest, NULL) == ST_OK) {
        if (memcmp(f->manifest.model_digest, from->digest, MODEL_DIGEST_BYTES) == 0 &&
            (!from->root || memcmp(f->manifest.root, from->root, PIECE_HASH_BYTES) == 0))
            return ST_OK;
        manifest_release(&f->manifest);
    }
    s = swarm_manifest(f->swarm, &f->manifest, err);
    return s == ST_OK ? manifest_write(path, &f->manifest, err) : s;
}

/* The head is here: others may be told of what is. */
static enum status note(const struct fetch *f, struct err *err)
{
    const char *origin = f->options->origin ? f->options->origin : "";

    return f->options->name ? part_note(f->options->path, f->options->name, origin, err) : ST_OK;
}

static enum status open_partial(struct fetch *f, struct err *err)
{
    enum status s = make_folder(f->options->path, err);

    if (s == ST_OK)
        s = open_swarm(f, err);
    if (s == ST_OK)
        s = get_manifest(f, err);
    if (s == ST_OK)
        s = manifest_map(&f->manifest, &f->wanted, err);
    if (s == ST_OK)
        s = partial_open(f->options->path, &f->manifest, LOCK_MS, &f->partial, err);
    return s;
}

static enum status run(struct fetch *f, struct fetch_result *result, struct err *err)
{
    struct fetch_progress all;
    enum status s = open_partial(f, err);

    if (s == ST_OK) {
        piece_map_add(&f->wanted, 0, f->manifest.head_bytes);
        s = fetch_wanted(f, result, err);
    }
    if (s == ST_OK) /* the head is opened by its path: its map has to say that it is here */
        s = partial_save(f->partial, err);
    if (s == ST_OK)
        s = find_wanted(f->options, &f->wanted, err);
    if (s == ST_OK)
        s = note(f, err);
    f->knows_total = true;
    if (s == ST_OK)
        s = fetch_wanted(f, result, err);
    if (s == ST_OK)
        s = partial_finish(f->partial, err);
    if (s != ST_OK)
        return s;
    result->shard_bytes = piece_map_count(&f->wanted, NULL);
    all = (struct fetch_progress){ .done_bytes = result->shard_bytes,
                                   .total_bytes = result->shard_bytes };
    swarm_came(f->swarm, &all.peer_bytes, &all.hub_bytes);
    result->hub_bytes = all.hub_bytes;
    if (f->options->from.on_progress) /* the last news may have been of a moment before */
        f->options->from.on_progress(f->options->from.arg, &all);
    return ST_OK;
}

enum status shard_fetch(const struct fetch_options *options, struct fetch_result *ret_result,
                        struct err *err)
{
    struct fetch f = { .options = options };
    struct fetch_result result = { 0 };
    enum status s = ST_OK;

    if (!is_here(options, &result))
        s = run(&f, &result, err);
    partial_close(f.partial);
    manifest_release(&f.manifest);
    piece_map_release(&f.wanted);
    swarm_free(f.swarm);
    if (s == ST_OK)
        *ret_result = result;
    return s;
}
