# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/roll.sh - one node after the other, without a break for who asks the cluster.
#
#   drain --holds nothing--> switch --restarted--> gate --serves--> the next node
#                                                  gate --does not--> back to what it ran, and stop
#
# A drain moves what the node holds to the others while they answer.  The service, asked to end, refuses
# what is new and lets running answers end, so clients with more than one address lose nothing.
# What no other node can hold cannot be moved: its requests wait for the node to come back.
# shellcheck shell=bash disable=SC2034  # settings of other files

NODES_ALIVE=1     # that a node has to see before the next one is touched
MODELS_READY=0    # and how many models ready
STOP_ASKED=no     # by a signal, heard between two nodes
GATE_S=180
DRAIN_S=120

# The cluster as one node tells it, JSON; fails where it does not answer.
cluster_state() { # NAME
    local answer
    rm -f "$RUN/$1/refused"
    answer=$(node_run "$1" api GET "$(node_url "$1")/cluster/state" 2>/dev/null) || return 1
    case ${answer##*$'\n'} in
    200) ;;
    401 | 403) : >"$RUN/$1/refused" && return 1 ;;
    *) return 1 ;;
    esac
    printf '%s\n' "${answer%$'\n'*}"
}

# Nodes that asked for a key that they did not get: without one nothing is drained, and answers would break.
key_refused() { # NODE...
    local name refused=''
    for name in "$@"; do [ ! -e "$RUN/$name/refused" ] || refused="$refused $name"; done
    [ -n "$refused" ] || return 1
    say "${RED}the API of$refused wants a key:$PLAIN POMONA_API_KEY has to be one of theirs, of scopes admin and chat"
}

key_or_refuse() { # NODE...
    local name
    for name in "$@"; do [ -z "$(node_fact "$name" current)" ] || cluster_state "$name" >/dev/null || true; done
    key_refused "$@" || return 0
    say "nothing was changed"
    exit "$EXIT_REFUSED"
}

# What has to be again after each node: taken from the first node that answers.
roll_measure() { # NODE...
    local name state
    for name in "$@"; do
        state=$(cluster_state "$name") || continue
        NODES_ALIVE=$(jq '[.nodes[] | select(.alive)] | length' <<<"$state")
        MODELS_READY=$(jq '[.instances[] | select(.state == "ready") | .model] | unique | length' <<<"$state")
        LEADER=$(jq -r '.leader // ""' <<<"$state")
        return
    done
    LEADER=''
}

# The leader goes last: one election, not one for each node.
roll_order() { # NODE...
    local name last=''
    for name in "$@"; do
        if [ "$name" = "$LEADER" ]; then last=$name; else echo "$name"; fi
    done
    echo "$last"
}

held_by() { # NAME STATE
    jq --arg name "$1" '[.instances[] | select(any(.shards[]; .node == $name))] | length' <<<"$2"
}

# Best effort: true when the node holds nothing.
drain() { # NAME
    local name=$1 state until=$((SECONDS + DRAIN_S))
    [ "$NODES_ALIVE" -gt 1 ] || return 0
    state=$(cluster_state "$name") || return 0 # it serves nobody
    node_run "$name" api POST "$(node_url "$name")/cluster/drain" "{\"node\":\"$name\"}" >/dev/null 2>&1 || return 0
    while [ "$(held_by "$name" "$state")" -gt 0 ]; do
        if [ "$SECONDS" -ge "$until" ]; then
            say_detail "$name: still holds a part of $(held_by "$name" "$state") models that no other node can take; their requests wait for it"
            return 0
        fi
        sleep 0.5
        state=$(cluster_state "$name") || return 0
    done
}

gate() { # NAME RELEASE
    node_run "$1" gate "$(node_url "$1")" "$NODES_ALIVE" "$MODELS_READY" "$2" "$GATE_S"
}

tell_node() { node_run "$1" say "$COMMAND of release $VERSION: $2" 2>/dev/null || true; } # NAME WORDS

# One node to a release, or back to what it ran: then false.
roll_one() { # NAME RELEASE
    local name=$1 release=$2 before
    before=$(node_fact "$name" current)
    say_step "$name: ${before:-nothing} -> $release"
    tell_node "$name" "begins, in place of ${before:-nothing}"
    [ -z "$before" ] || { say_detail "draining" && drain "$name"; }
    say_detail "switching, restarting"
    if node_run "$name" switch "$release" "$name" 2>"$RUN/$name/why" &&
        gate "$name" "$release" 2>"$RUN/$name/why"; then
        tell_node "$name" "serves"
        say_detail "${GREEN}serves release $release$PLAIN"
        return
    fi
    say "$RED$name does not serve with release $release:$PLAIN $(cat "$RUN/$name/why")"
    roll_back_one "$name" "$release" "$before"
    return 1
}

roll_back_one() { # NAME RELEASE BEFORE
    local name=$1
    tell_node "$name" "failed, goes back to ${3:-nothing}"
    if ! node_run "$name" revert "$2" "$3" "$name" 2>"$RUN/$name/why"; then
        say "$RED$name could not be brought back:$PLAIN $(cat "$RUN/$name/why")"
    elif [ -z "$3" ]; then
        say_detail "$name: nothing runs there, as before"
    elif gate "$name" "$3" 2>"$RUN/$name/why"; then
        tell_node "$name" "is back at $3"
        say_detail "$name: back at release $3, and serves"
    else
        say "$RED$name is back at release $3, but does not serve:$PLAIN $(cat "$RUN/$name/why")"
    fi
}

# Nodes to their TARGET, one by one; stops at the first that fails, and between two when asked to.
ROLLED=()
roll() { # NODE...
    local name order
    [ $# -gt 0 ] || return 0
    ROLLING=yes
    roll_measure "$@"
    order=$(roll_order "$@")
    for name in $order; do
        if [ "$STOP_ASKED" = yes ]; then
            say "stopped by a signal; changed so far: ${ROLLED[*]-none}; the others run what they ran"
            return 1
        fi
        roll_one "$name" "$(cat "$RUN/$name/target")" || {
            say "stopped; changed before: ${ROLLED[*]-none}; not touched: $(roll_rest "$name" "$order")"
            return 1
        }
        ROLLED+=("$name")
    done
}

roll_rest() { # NAME ORDER
    local name=$1 rest='' seen=no other
    for other in $2; do
        if [ "$seen" = yes ]; then rest="$rest$other "; fi
        [ "$other" != "$name" ] || seen=yes
    done
    echo "${rest:-none}"
}

# Nodes that run nothing yet: all at once, as a cluster needs a quorum to begin with.
start_one() { # NAME
    node_run "$1" switch "$VERSION" "$1" && gate "$1" "$VERSION"
}

start_new() { # NODE...
    local name
    [ $# -gt 0 ] || return 0
    ROLLING=yes
    say_step "starting $*"
    for name in "$@"; do tell_node "$name" "begins, in place of nothing"; done
    if ! nodes_all start_one "$@"; then
        nodes_tell_failures "does not serve"
        for name in "${FAILED_NODES[@]}"; do roll_back_one "$name" "$VERSION" ''; done
        return 1
    fi
    NODES_ALIVE=$((NODES_ALIVE > $# ? NODES_ALIVE : $#))
    nodes_all gate_current "$@" || { nodes_tell_failures "does not see its peers" && return 1; }
    for name in "$@"; do
        tell_node "$name" "serves"
        ROLLED+=("$name")
    done
}

gate_current() { gate "$1" "$VERSION"; }
