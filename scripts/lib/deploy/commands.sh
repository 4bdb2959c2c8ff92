# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/commands.sh - deploy, update, rollback, status, validate.
# shellcheck shell=bash disable=SC2034  # settings of other files

NEEDS_RELEASE=no  # an archive for every platform
NEEDS_DEPLOYED=no # something is deployed on every node

begin_change() {
    lock_here "$CLUSTER"
    if [ "$COMMAND" != rollback ]; then
        release_choose
        NEEDS_RELEASE=yes
    fi
    [ "$COMMAND" = deploy ] || NEEDS_DEPLOYED=yes
    preflight_or_refuse
}

confirm() { # WHAT
    local answer
    if [ "$DRY_RUN" = yes ]; then
        say "would: $1; --dry-run changes nothing"
        exit 0
    fi
    [ "$YES" = no ] || return 0
    [ -t 0 ] || die_use "without a terminal to ask at, say --yes"
    read -r -p "$1? [y/N] " answer
    case $answer in y | Y | yes) ;; *) say "nothing was changed" && exit 0 ;; esac
}

command_deploy() {
    local name new=() old=()
    begin_change
    # shellcheck disable=SC2153  # of nodes.sh
    key_or_refuse "${NODES[@]}"
    confirm "$COMMAND release $VERSION on ${NODES[*]}"
    lock_nodes "${NODES[@]}"
    configuration_make "$CONFIG"
    distribute "${NODES[@]}"
    for name in "${NODES[@]}"; do
        if [ -z "$(node_fact "$name" current)" ]; then
            new+=("$name")
        elif is_done "$name"; then
            say_detail "$name: runs release $VERSION with this configuration already"
        else
            old+=("$name")
        fi
    done
    if ! { start_new ${new[@]+"${new[@]}"} && roll ${old[@]+"${old[@]}"}; }; then
        nodes_all unstage_from "${NODES[@]}" || true
        finish failed
    fi
    for name in "${NODES[@]}"; do node_run "$name" prune "$KEEP" >/dev/null || true; done
    finish fine
}

command_update() { command_deploy; }

is_done() { # NAME
    [ "$(node_fact "$1" current)" = "$VERSION" ] && [ "$(node_fact "$1" running)" = "$VERSION" ] &&
        [ "$(node_fact "$1" configuration)" = same ]
}

command_rollback() {
    local name target words='' old=()
    begin_change
    for name in "${NODES[@]}"; do
        target=${VERSION:-$(node_fact "$name" previous)}
        case " $(node_fact "$name" kept) " in
        *" ${target:-/} "*) ;;
        *)
            say "$RED$name has no release '${target:-before this one}'$PLAIN; it keeps $(node_fact "$name" kept)"
            say "nothing was changed"
            exit "$EXIT_REFUSED"
            ;;
        esac
        echo "$target" >"$RUN/$name/target"
        if [ "$(node_fact "$name" current)" != "$target" ] || [ "$(node_fact "$name" running)" != "$target" ]; then
            old+=("$name")
            words="$words$name to $target "
        fi
    done
    if [ ${#old[@]} -eq 0 ]; then say "every node runs it already" && finish fine; fi
    key_or_refuse "${NODES[@]}"
    confirm "rollback $words"
    lock_nodes "${NODES[@]}"
    VERSION=${VERSION:-$(cat "$RUN/${old[0]}/target")}
    nodes_all unstage_from "${old[@]}" || die "the nodes could not be prepared: $(cat "$RUN/${FAILED_NODES[0]}/said")"
    roll "${old[@]}" || finish failed
    finish fine
}

finish() { # fine|failed
    nodes_all refresh "${NODES[@]}" || true
    status_table
    if [ "$1" = fine ]; then
        say "$GREEN$COMMAND: done$PLAIN"
        exit 0
    fi
    say "${RED}$COMMAND: failed$PLAIN; the log is $LOG"
    exit 1
}

refresh() { # NAME
    echo "system=$(node_fact "$1" system)" >"$RUN/$1/facts.new"
    node_run "$1" facts "$(node_field "$1" host)" "$(node_field "$1" port)" "$(node_field "$1" api_port)" \
        >>"$RUN/$1/facts.new" 2>/dev/null && mv "$RUN/$1/facts.new" "$RUN/$1/facts"
    cluster_state "$1" >"$RUN/$1/state" || rm -f "$RUN/$1/state"
}

status_line() { # NAME
    local name=$1 nodes=- models=-
    if [ ! -e "$RUN/$name/root" ]; then
        printf '%s\tFAIL\t%s\n' "$name" "$(tr '\n\t' '  ' <"$RUN/$name/trouble" | cut -c 1-120)"
        return
    fi
    if [ -s "$RUN/$name/state" ]; then
        nodes=$(jq -r '"\([.nodes[] | select(.alive)] | length)/\(.nodes | length)"' "$RUN/$name/state")
        models=$(jq -r '[.instances[] | select(.state == "ready") | .model] | unique | length' "$RUN/$name/state")
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$(status_service "$name")" \
        "$(or_dash "$(node_fact "$name" running)")" "$(or_dash "$(node_fact "$name" previous)")" "$nodes" "$models" \
        "$(node_fact "$name" restarts)" "$(or_dash "$(node_fact "$name" monitor)")" "$(or_dash "$(node_fact "$name" since)")"
}

status_service() {
    [ "$(node_fact "$1" service)" = active ] && [ -s "$RUN/$1/state" ] && echo ok && return
    echo "FAIL $(or_dash "$(node_fact "$1" service)")"
}

or_dash() { echo "${1:--}"; }

# False where a node does not serve.
status_table() {
    local name
    {
        printf 'NODE\tSERVICE\tRELEASE\tBEFORE\tNODES\tMODELS\tRESTARTS\tMONITOR\tSINCE\n'
        for name in "${NODES[@]}"; do status_line "$name"; done
    } >"$RUN/status"
    table <"$RUN/status"
    key_refused "${NODES[@]}" || true
    ! grep -q "FAIL" "$RUN/status"
}

# Every node that is reached, the others told of.
look() {
    local name reached=()
    nodes_all preflight_ask "${NODES[@]}" || true
    for name in "${NODES[@]}"; do [ ! -e "$RUN/$name/root" ] || reached+=("$name"); done
    [ ${#reached[@]} -eq 0 ] || nodes_all refresh "${reached[@]}" || true
}

command_status() {
    look
    status_table || exit 1
}

# --model, else one that is placed, else one that the cluster has.
validate_model() {
    local name found
    [ -z "$MODEL" ] || { echo "$MODEL" && return; }
    for name in "${NODES[@]}"; do
        found=$(jq -r '([.instances[] | select(.state == "ready") | .model] + [.models[].name])[0] // empty' "$RUN/$name/state")
        [ -z "$found" ] || { echo "$found" && return; }
    done
}

# An answer by each node, as a client would ask for it: not what it says is told, but that it came.
validate_one() { # NAME
    local answer begun
    begun=$(now_ms)
    answer=$(node_run "$1" complete "$(node_url "$1")" "$CANARY") || { echo "its API does not answer" && return 1; }
    if [ "${answer##*$'\n'}" != 200 ]; then
        echo "HTTP ${answer##*$'\n'}: $(jq -r '(.error.message // tostring)[0:300]' <<<"${answer%$'\n'*}")"
        return 1
    fi
    jq -e '.usage.completion_tokens > 0' <<<"${answer%$'\n'*}" >/dev/null || { echo "the answer is empty" && return 1; }
    echo "$(jq '.usage.completion_tokens' <<<"${answer%$'\n'*}") tokens in $(($(now_ms) - begun)) ms"
}

validate_agree() {
    local name seen
    seen=$(for name in "${NODES[@]}"; do node_fact "$name" running; done | sort -u | wc -l)
    [ "$seen" -eq 1 ] || { say "${RED}the nodes run different releases$PLAIN" && return 1; }
    for name in "${NODES[@]}"; do
        seen=$(jq '[.nodes[] | select(.alive)] | length' "$RUN/$name/state")
        [ "$seen" -ge "${#ALL_NODES[@]}" ] || { say "$RED$name sees $seen of ${#ALL_NODES[@]} nodes$PLAIN" && return 1; }
    done
}

command_validate() {
    local name
    look
    status_table || { say "${RED}validate: failed$PLAIN: not every node serves" && exit 1; }
    validate_agree || exit 1
    CANARY=$(validate_model)
    [ -n "$CANARY" ] || die "the cluster has no model to ask: 'pomona pull' or 'pomona import' one on a node"
    say_step "an answer of $CANARY from each node"
    nodes_all validate_one "${NODES[@]}" || {
        nodes_tell_failures "no answer"
        say "${RED}validate: failed$PLAIN"
        exit 1
    }
    for name in "${NODES[@]}"; do say_detail "$name: $(tail -n 1 "$RUN/$name/said")"; done
    say "${GREEN}validate: every node answers$PLAIN"
}
