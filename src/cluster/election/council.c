/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/council.c - the voters: who leads, and what shall be placed. */
#include "cluster/election/council.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"
#include "cluster/election/council_priv.h"
#include "cluster/state/desired_wire.h"

static enum status keep(struct council *c, struct err *err)
{
    uint8_t *bytes;
    size_t n;
    enum status s = council_pack_file(c, &bytes, &n);

    if (s != ST_OK)
        return err_set(err, s, "what a voter keeps");
    s = c->effects->keep(c->arg, bytes, n, err);
    free(bytes);
    if (s == ST_OK)
        c->kept_digest = c->desired.digest;
    return s;
}

static enum status on_save(void *arg)
{
    struct err err;
    const enum status s = keep(arg, &err);

    if (s != ST_OK)
        log_warn("this node cannot vote: %s", err.words);
    return s;
}

static bool is_answer(enum election_kind kind)
{
    return kind == ELECTION_POLLED || kind == ELECTION_WOULD_VOTE || kind == ELECTION_VOTED ||
           kind == ELECTION_BEATEN;
}

static void on_send(void *arg, uint32_t to, const struct election_message *m)
{
    struct council *c = arg;
    const bool is_behind =
        c->peer_epoch[to] != c->election.epoch || c->peer_digest[to] != c->kept_digest;
    const bool with_records =
        is_answer(m->kind) ? c->is_answering_other : m->kind == ELECTION_BEAT && is_behind;
    uint8_t *bytes;
    size_t n;

    if (council_pack(c, m, with_records, &bytes, &n) != ST_OK)
        return; /* as if it was lost */
    if (n <= COUNCIL_MESSAGE_MAX)
        c->effects->send(c->arg, to, bytes, n);
    else
        log_error("a message of %zu bytes is too long for a voter", n);
    free(bytes);
}

static void give_up(struct council *c)
{
    for (size_t i = 0; i < c->n_proposals; i++)
        c->effects->decided(c->arg, c->proposals[i].ticket, ST_PEER);
    c->n_proposals = 0;
}

static void on_leader(void *arg, uint64_t epoch, uint32_t leader)
{
    struct council *c = arg;

    give_up(c);
    if (leader == c->election.self)
        c->index = 0;
    c->effects->leader(c->arg, epoch, leader);
}

static uint64_t on_random(void *arg)
{
    const struct council *c = arg;

    return c->effects->random(c->arg);
}

static const struct election_effects effects_of_election = {
    .send = on_send, .save = on_save, .leader = on_leader, .random = on_random
};

static enum status take_names(struct council *c, const struct council_options *options,
                              uint32_t *ret_self, struct err *err)
{
    uint32_t self = NO_VOTER;

    if (options->n_voters == 0 || options->n_voters > VOTERS_MAX)
        return err_set(err, ST_RANGE, "%u voters cannot be", options->n_voters);
    c->n_voters = options->n_voters;
    for (uint32_t i = 0; i < c->n_voters; i++) {
        const size_t n = strlen(options->voters[i]);

        if (n >= NODE_NAME_MAX)
            return err_set(err, ST_RANGE, "the voter '%s' has too long a name", options->voters[i]);
        memcpy(c->names[i], options->voters[i], n + 1);
        c->voters = XXH64(c->names[i], n + 1, c->voters);
        if (strcmp(c->names[i], options->self) == 0)
            self = i;
    }
    if (self == NO_VOTER)
        return err_set(err, ST_RANGE, "'%s' is none of the voters", options->self);
    *ret_self = self;
    return ST_OK;
}

enum status council_new(const struct council_options *options, const uint8_t *kept, size_t n_kept,
                        const struct council_effects *effects, void *arg, uint64_t now_ns,
                        struct council **ret_council, struct err *err)
{
    struct council *c = calloc(1, sizeof(*c));
    uint32_t self = 0, vote = NO_VOTER;
    uint64_t epoch = 0;
    bool is_born = false;
    enum status s;

    if (!c)
        return err_set(err, ST_NOMEM, "a voter");
    c->effects = effects;
    c->arg = arg;
    s = take_names(c, options, &self, err);
    if (s == ST_OK && n_kept > 0)
        s = council_unpack_file(c, kept, n_kept, &epoch, &vote, &is_born, err);
    if (s == ST_OK)
        s = election_init(&c->election, &options->params, self, c->n_voters, epoch, vote, is_born,
                          &effects_of_election, c, now_ns, err);
    if (s != ST_OK) {
        council_free(c);
        return s;
    }
    c->kept_digest = c->desired.digest;
    *ret_council = c;
    return ST_OK;
}

void council_free(struct council *council)
{
    if (!council)
        return;
    desired_release(&council->desired);
    free(council);
}

/* Decided is what a quorum has on disk; their digests say that they have it all. */
static void decide(struct council *c)
{
    uint64_t have = 1ull << c->election.self;

    if (c->n_proposals == 0 || c->election.role != ELECTION_LEADER ||
        c->kept_digest != c->desired.digest)
        return;
    for (uint32_t i = 0; i < c->n_voters; i++)
        if (c->peer_epoch[i] == c->election.epoch && c->peer_digest[i] == c->kept_digest)
            have |= 1ull << i;
    if (!election_is_quorum(have, c->n_voters))
        return;
    for (size_t i = 0; i < c->n_proposals; i++)
        c->effects->decided(c->arg, c->proposals[i].ticket, ST_OK);
    c->n_proposals = 0;
}

uint64_t council_tick(struct council *c, uint64_t now_ns)
{
    struct err err;

    if (c->kept_digest != c->desired.digest && keep(c, &err) != ST_OK)
        log_warn("placements are not kept: %s", err.words);
    decide(c);
    return election_tick(&c->election, now_ns);
}

void council_peer_up(struct council *c, uint32_t who)
{
    election_peer_up(&c->election, who);
}

void council_all_up(struct council *c, uint64_t now_ns)
{
    election_all_up(&c->election, now_ns);
}

void council_peer_lost(struct council *c, uint32_t who, uint64_t now_ns)
{
    election_peer_lost(&c->election, who, now_ns);
}

/* Records come before the message that brought them counts: who votes or beats
 * has handed over what it knows.  A beat of an epoch that is over brings nothing. */
static enum status take_records(struct council *c, const Wire__Council *wire, struct err *err)
{
    bool is_changed = false;
    enum status s;

    if (wire->kind == WIRE__COUNCIL__KIND__BEAT && wire->epoch < c->election.epoch)
        return ST_OK;
    s = desired_from_wire(&c->desired, wire->state, &is_changed, err);
    if (!is_changed)
        return s;
    if (keep(c, err) != ST_OK)
        log_warn("placements are not kept: %s", err->words);
    c->effects->changed(c->arg);
    return s;
}

enum status council_receive(struct council *c, const uint8_t *bytes, size_t n, uint64_t now_ns,
                            struct err *err)
{
    struct election_message m;
    Wire__Council *wire;
    enum status s = council_unpack(c, bytes, n, &wire, &m, err);

    if (s != ST_OK)
        return s;
    s = take_records(c, wire, err);
    if (s == ST_OK) {
        if (m.kind != ELECTION_WOULD) { /* whose epoch is one that it has not accepted */
            c->peer_epoch[m.from] = wire->epoch;
            c->peer_digest[m.from] = wire->digest;
        }
        c->is_answering_other = wire->digest != c->kept_digest;
        election_receive(&c->election, &m, now_ns);
        decide(c);
    }
    wire__council__free_unpacked(wire, NULL);
    return s;
}

static enum status check_leads(const struct council *c, struct err *err)
{
    const uint32_t leader = c->election.leader;

    if (c->election.role == ELECTION_LEADER)
        return ST_OK;
    if (leader == NO_VOTER)
        return err_set(err, ST_PEER, "no node leads: there is no quorum of the %u configured nodes",
                       c->n_voters);
    return err_set(err, ST_PEER, "node '%s' leads", c->names[leader]);
}

enum status council_propose(struct council *c, const char *model, const uint8_t *value,
                            size_t n_value, uint64_t *ret_ticket, struct err *err)
{
    struct desired_record record = { .version = { c->election.epoch, c->index + 1 },
                                     .is_placed = value != NULL,
                                     .n_value = value ? n_value : 0,
                                     .value = (uint8_t *)value };
    bool is_changed = false;
    enum status s = check_leads(c, err);

    if (s != ST_OK)
        return s;
    if (value && desired_n_placed(&c->desired) >= DESIRED_PLACED_MAX)
        return err_set(err, ST_FULL, "%d models are placed already; unplace one first",
                       DESIRED_PLACED_MAX);
    if (c->n_proposals == PROPOSALS_MAX)
        return err_set(err, ST_FULL, "%d placements are being decided; retry", PROPOSALS_MAX);
    if (strlen(model) >= sizeof(record.model))
        return err_set(err, ST_RANGE, "the model's name is too long");
    memcpy(record.model, model, strlen(model) + 1);
    s = desired_merge(&c->desired, &record, &is_changed, err);
    if (s != ST_OK)
        return s;
    c->index++;
    s = keep(c, err);
    if (s != ST_OK)
        return s; /* tried again with each tick, so it may be decided yet */
    c->proposals[c->n_proposals++] =
        (struct proposal){ .ticket = ++c->last_ticket, .version = record.version };
    *ret_ticket = c->last_ticket;
    election_hurry(&c->election);
    c->effects->changed(c->arg);
    return ST_OK;
}

const struct desired *council_desired(const struct council *c)
{
    return &c->desired;
}

const struct election *council_election(const struct council *c)
{
    return &c->election;
}
