/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/election.c - roles, votes, beats. */
#include "cluster/election/election.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    TICK_MAX_MS = 100,  /* the owner is called at least this often */
    STAGGER_MS = 50,    /* between two voters that stand because of a hint; a round trip and more */
    POLL_AGAIN_MS = 50, /* a newborn that is told that all are there */
};

#define ROLE(r) (1u << (r))

static const struct {
    const char *word;
    unsigned successors; /* mask of ROLE() */
} roles[] = {
    [ELECTION_NEWBORN] = { "newborn", ROLE(ELECTION_FOLLOWER) },
    [ELECTION_FOLLOWER] = { "follower", ROLE(ELECTION_PROSPECT) | ROLE(ELECTION_FOLLOWER) },
    [ELECTION_PROSPECT] = { "prospect", ROLE(ELECTION_FOLLOWER) | ROLE(ELECTION_CANDIDATE) },
    [ELECTION_CANDIDATE] = { "candidate", ROLE(ELECTION_FOLLOWER) | ROLE(ELECTION_LEADER) },
    [ELECTION_LEADER] = { "leader", ROLE(ELECTION_FOLLOWER) },
};

const char *election_role_word(enum election_role role)
{
    return roles[role].word;
}

struct election_params election_params_default(void)
{
    return (struct election_params){
        .beat_ms = 250, .election_ms = 1000, .round_ms = 500, .quarantine_ms = 2000
    };
}

static uint64_t bit(uint32_t voter)
{
    return 1ull << voter;
}

static uint64_t everybody(const struct election *e)
{
    return e->n_voters == VOTERS_MAX ? UINT64_MAX : bit(e->n_voters) - 1;
}

static bool is_majority(uint64_t voters, uint32_t n_voters)
{
    return 2 * (uint32_t)__builtin_popcountll(voters) > n_voters;
}

/* A vote counts two, the first voter's three: half with it is more than half without. */
bool election_is_quorum(uint64_t voters, uint32_t n_voters)
{
    const uint32_t weight = 2 * (uint32_t)__builtin_popcountll(voters) + (uint32_t)(voters & 1);

    return 2 * weight > 2 * n_voters + 1;
}

static void move(struct election *e, enum election_role to)
{
    assert(roles[e->role].successors & ROLE(to));
    e->role = to;
}

static void set_leader(struct election *e, uint32_t leader)
{
    if (e->leader == leader)
        return;
    e->leader = leader;
    e->effects->leader(e->arg, e->epoch, leader);
}

static uint64_t random_ms(struct election *e, uint32_t below)
{
    return e->effects->random(e->arg) % below * NS_PER_MS;
}

static void follow(struct election *e, uint64_t now_ns)
{
    const uint64_t wait_ns = e->params.election_ms * NS_PER_MS;

    if (e->role == ELECTION_LEADER)
        set_leader(e, NO_VOTER);
    if (e->role != ELECTION_NEWBORN)
        move(e, ELECTION_FOLLOWER);
    e->due_ns = now_ns + wait_ns + random_ms(e, e->params.election_ms);
}

enum status election_init(struct election *e, const struct election_params *params, uint32_t self,
                          uint32_t n_voters, uint64_t epoch, uint32_t vote, bool is_born,
                          const struct election_effects *effects, void *arg, uint64_t now_ns,
                          struct err *err)
{
    if (n_voters == 0 || n_voters > VOTERS_MAX || self >= n_voters)
        return err_set(err, ST_RANGE, "voter %u of %u cannot be", self, n_voters);
    *e = (struct election){ .params = *params,
                            .effects = effects,
                            .arg = arg,
                            .self = self,
                            .n_voters = n_voters,
                            .epoch = epoch,
                            .vote = vote,
                            .is_born = is_born || n_voters == 1,
                            .leader = NO_VOTER };
    e->role = e->is_born ? ELECTION_FOLLOWER : ELECTION_NEWBORN;
    if (e->is_born)
        e->due_ns = now_ns + (n_voters > 1 ? random_ms(e, 2 * params->election_ms) : 0);
    e->born_after_ns = now_ns + params->quarantine_ms * NS_PER_MS;
    e->beat_ns = now_ns;
    e->round = (uint32_t)effects->random(arg); /* no answer to an earlier life is taken for one */
    return ST_OK;
}

static void send_to(struct election *e, uint32_t to, enum election_kind kind, uint64_t epoch,
                    uint32_t round, bool is_granted)
{
    const struct election_message message = { .kind = kind,
                                              .from = e->self,
                                              .epoch = epoch,
                                              .round = round,
                                              .is_granted = is_granted,
                                              .is_born = e->is_born };

    e->effects->send(e->arg, to, &message);
}

static void send_all(struct election *e, enum election_kind kind, uint64_t epoch)
{
    for (uint32_t i = 0; i < e->n_voters; i++)
        if (i != e->self)
            send_to(e, i, kind, epoch, e->round, false);
}

/* Accept a higher epoch, and vote in it for `vote` or nobody yet.  False: it
 * could not be kept, and nothing changed. */
static bool accept_epoch(struct election *e, uint64_t epoch, uint32_t vote)
{
    const uint64_t old_epoch = e->epoch;
    const uint32_t old_vote = e->vote;

    assert(epoch >= e->epoch);
    e->epoch = epoch;
    e->vote = vote;
    if (e->effects->save(e->arg) == ST_OK)
        return true;
    e->epoch = old_epoch;
    e->vote = old_vote;
    return false;
}

static void lead(struct election *e, uint64_t now_ns)
{
    move(e, ELECTION_LEADER);
    for (uint32_t i = 0; i < e->n_voters; i++)
        e->heard_ns[i] = e->granted & bit(i) ? now_ns : 0;
    e->round++;
    e->beat_ns = now_ns;
    set_leader(e, e->self);
}

static void stand(struct election *e, uint64_t now_ns)
{
    if (!accept_epoch(e, e->epoch + 1, e->self)) {
        follow(e, now_ns);
        return;
    }
    set_leader(e, NO_VOTER);
    move(e, ELECTION_CANDIDATE);
    e->round++;
    e->granted = bit(e->self);
    e->due_ns = now_ns + e->params.round_ms * NS_PER_MS;
    send_all(e, ELECTION_VOTE, e->epoch);
    if (election_is_quorum(e->granted, e->n_voters))
        lead(e, now_ns);
}

static void ask_around(struct election *e, uint64_t now_ns)
{
    set_leader(e, NO_VOTER);
    move(e, ELECTION_PROSPECT);
    e->round++;
    e->granted = bit(e->self);
    e->due_ns = now_ns + e->params.round_ms * NS_PER_MS;
    send_all(e, ELECTION_WOULD, e->epoch + 1);
    if (e->n_voters == 1)
        stand(e, now_ns);
}

/* The round is over.  The first of two voters may have asked in vain and still stand. */
static void end_round(struct election *e, uint64_t now_ns)
{
    if (e->role == ELECTION_PROSPECT && election_is_quorum(e->granted, e->n_voters))
        stand(e, now_ns);
    else
        follow(e, now_ns);
}

/* Whether a newborn heard enough to vote without voting twice. */
static bool may_be_born(const struct election *e)
{
    const uint64_t others = everybody(e) & ~bit(e->self);
    const uint64_t kept = e->polled & ~e->polled_leaderless;

    if (e->unstood == others || e->polled == others)
        return true;
    if (e->polled_ns < e->born_after_ns)
        return false;
    return election_is_quorum(kept, e->n_voters) ||
           is_majority(e->polled_leaderless | bit(e->self), e->n_voters);
}

static bool try_birth(struct election *e, uint64_t now_ns)
{
    if (!may_be_born(e))
        return false;
    e->is_born = true;
    if (!accept_epoch(e, e->polled_epoch > e->epoch ? e->polled_epoch : e->epoch, NO_VOTER)) {
        e->is_born = false;
        return false;
    }
    follow(e, now_ns);
    move(e, ELECTION_FOLLOWER);
    return true;
}

static void poll(struct election *e, uint64_t now_ns)
{
    uint64_t next_ns = now_ns + e->params.round_ms * NS_PER_MS;

    if (try_birth(e, now_ns))
        return;
    if (now_ns < e->born_after_ns && next_ns > e->born_after_ns)
        next_ns = e->born_after_ns;
    e->round++;
    e->polled = e->polled_leaderless = 0;
    e->polled_ns = now_ns;
    e->beat_ns = next_ns;
    send_all(e, ELECTION_POLL, e->epoch);
}

static bool is_led(const struct election *e, uint64_t now_ns)
{
    return e->role == ELECTION_LEADER ||
           (e->leader_heard_ns > 0 &&
            now_ns - e->leader_heard_ns < e->params.election_ms * NS_PER_MS);
}

static void stand_soon(struct election *e, uint64_t now_ns)
{
    uint64_t wait_ms = (uint64_t)e->self * STAGGER_MS;

    if (wait_ms > e->params.election_ms)
        wait_ms = e->params.election_ms;
    if (e->due_ns <= now_ns + (wait_ms + STAGGER_MS) * NS_PER_MS)
        return; /* it will as it is */
    e->due_ns = now_ns + wait_ms * NS_PER_MS + random_ms(e, STAGGER_MS);
}

/* What it says before anybody leads lets this newborn vote when the leader dies young. */
void election_peer_up(struct election *e, uint32_t voter)
{
    if (e->role == ELECTION_NEWBORN && voter != e->self)
        send_to(e, voter, ELECTION_POLL, e->epoch, e->round, false);
}

void election_all_up(struct election *e, uint64_t now_ns)
{
    const uint64_t others = everybody(e) & ~bit(e->self);

    if (e->role == ELECTION_FOLLOWER && e->leader == NO_VOTER && !is_led(e, now_ns))
        stand_soon(e, now_ns);
    else if (e->role == ELECTION_NEWBORN && e->polled != others &&
             now_ns >= e->polled_ns + POLL_AGAIN_MS * NS_PER_MS)
        poll(e, now_ns);
}

void election_peer_lost(struct election *e, uint32_t voter, uint64_t now_ns)
{
    if (e->role != ELECTION_FOLLOWER || voter == NO_VOTER || e->leader != voter)
        return;
    e->leader_heard_ns = 0;
    set_leader(e, NO_VOTER);
    stand_soon(e, now_ns);
}

static bool has_quorum_lately(const struct election *e, uint64_t now_ns)
{
    uint64_t heard = bit(e->self);

    for (uint32_t i = 0; i < e->n_voters; i++)
        if (e->heard_ns[i] > 0 && now_ns - e->heard_ns[i] < e->params.election_ms * NS_PER_MS)
            heard |= bit(i);
    return election_is_quorum(heard, e->n_voters);
}

static void beat(struct election *e, uint64_t now_ns)
{
    if (!has_quorum_lately(e, now_ns)) {
        log_warn("epoch %llu: no quorum any more; nobody leads", (unsigned long long)e->epoch);
        follow(e, now_ns);
        return;
    }
    if (now_ns < e->beat_ns)
        return;
    e->beat_ns = now_ns + e->params.beat_ms * NS_PER_MS;
    send_all(e, ELECTION_BEAT, e->epoch);
}

void election_hurry(struct election *e)
{
    if (e->role == ELECTION_LEADER)
        e->beat_ns = 0;
}

uint64_t election_tick(struct election *e, uint64_t now_ns)
{
    uint64_t wake_ns = now_ns + TICK_MAX_MS * NS_PER_MS;

    if (e->role == ELECTION_LEADER)
        beat(e, now_ns);
    else if (e->role == ELECTION_NEWBORN && now_ns >= e->beat_ns)
        poll(e, now_ns);
    else if (e->role == ELECTION_FOLLOWER && now_ns >= e->due_ns)
        ask_around(e, now_ns);
    else if (e->role != ELECTION_NEWBORN && now_ns >= e->due_ns)
        end_round(e, now_ns);
    if (e->role == ELECTION_LEADER && e->beat_ns < wake_ns)
        wake_ns = e->beat_ns;
    else if (e->role != ELECTION_LEADER && e->role != ELECTION_NEWBORN && e->due_ns < wake_ns)
        wake_ns = e->due_ns;
    return wake_ns > now_ns ? wake_ns : now_ns + NS_PER_MS;
}

static void answer_would(struct election *e, const struct election_message *m, uint64_t now_ns)
{
    const bool would = e->is_born && m->epoch > e->epoch && !is_led(e, now_ns);

    send_to(e, m->from, ELECTION_WOULD_VOTE, e->epoch, m->round, would);
}

static void answer_vote(struct election *e, const struct election_message *m, uint64_t now_ns)
{
    bool votes = e->is_born && !is_led(e, now_ns) &&
                 (m->epoch > e->epoch || (m->epoch == e->epoch && e->vote == m->from));

    if (votes && m->epoch > e->epoch) {
        votes = accept_epoch(e, m->epoch, m->from);
        if (votes) {
            set_leader(e, NO_VOTER);
            follow(e, now_ns);
        }
    }
    send_to(e, m->from, ELECTION_VOTED, e->epoch, m->round, votes);
}

static void take_beat(struct election *e, const struct election_message *m, uint64_t now_ns)
{
    if (m->epoch < e->epoch || (m->epoch > e->epoch && !accept_epoch(e, m->epoch, NO_VOTER))) {
        send_to(e, m->from, ELECTION_BEATEN, e->epoch, m->round, false);
        return;
    }
    if (e->role == ELECTION_LEADER && e->vote == e->self) { /* still: the epoch is the same */
        log_error("voter %u leads epoch %llu too: is the list of voters the same?", m->from,
                  (unsigned long long)m->epoch);
        return;
    }
    follow(e, now_ns);
    e->leader_heard_ns = now_ns;
    set_leader(e, m->from);
    send_to(e, m->from, ELECTION_BEATEN, e->epoch, m->round, true);
}

static void take_answer(struct election *e, const struct election_message *m, uint64_t now_ns)
{
    const bool is_round = m->round == e->round && now_ns < e->due_ns && m->is_granted;

    if (m->epoch > e->epoch && e->is_born) {
        if (accept_epoch(e, m->epoch, NO_VOTER)) {
            follow(e, now_ns);
            set_leader(e, NO_VOTER);
        }
        return;
    }
    if (e->role == ELECTION_LEADER && m->kind == ELECTION_BEATEN && m->is_granted &&
        m->epoch == e->epoch)
        e->heard_ns[m->from] = now_ns;
    if (!is_round)
        return;
    if (e->role == ELECTION_PROSPECT && m->kind == ELECTION_WOULD_VOTE) {
        e->granted |= bit(m->from);
        if (election_is_quorum(e->granted, e->n_voters))
            stand(e, now_ns);
    } else if (e->role == ELECTION_CANDIDATE && m->kind == ELECTION_VOTED) {
        e->granted |= bit(m->from);
        if (election_is_quorum(e->granted, e->n_voters))
            lead(e, now_ns);
    }
}

static void take_poll(struct election *e, const struct election_message *m, uint64_t now_ns)
{
    if (e->role != ELECTION_NEWBORN || m->round != e->round)
        return;
    e->polled |= bit(m->from);
    if (m->epoch == 0)
        e->polled_leaderless |= bit(m->from);
    if (m->epoch == 0 || !m->is_born)
        e->unstood |= bit(m->from);
    if (m->epoch > e->polled_epoch)
        e->polled_epoch = m->epoch;
    (void)try_birth(e, now_ns);
}

void election_receive(struct election *e, const struct election_message *m, uint64_t now_ns)
{
    if (m->from >= e->n_voters || m->from == e->self)
        return;
    switch (m->kind) {
    case ELECTION_POLL: send_to(e, m->from, ELECTION_POLLED, e->epoch, m->round, true); break;
    case ELECTION_POLLED: take_poll(e, m, now_ns); break;
    case ELECTION_WOULD: answer_would(e, m, now_ns); break;
    case ELECTION_VOTE: answer_vote(e, m, now_ns); break;
    case ELECTION_BEAT: take_beat(e, m, now_ns); break;
    case ELECTION_WOULD_VOTE:
    case ELECTION_VOTED:
    case ELECTION_BEATEN: take_answer(e, m, now_ns); break;
    default: break;
    }
}

enum command_verdict election_check(uint64_t known, uint64_t epoch, bool knows_leader)
{
    if (epoch < known)
        return COMMAND_OVER;
    return knows_leader ? COMMAND_OBEYED : COMMAND_OF_STRANGER;
}
