# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/preflight.sh - every node and every check, before anything changes.
#
# Nodes tell facts (node/common.sh), judged here.  A check is a row of CHECKS and a function check_NAME
# that prints a cell, and after a tab what is wrong and what to do.  A cell is "ok", a value, "warn",
# or "FAIL", which stops the run.
# shellcheck shell=bash

CHECKS=(ssh sudo os cpu memory disk ports time mtu release)

TIME_OFF_MS=2000     # of the nodes' median: beyond, certificates and logs disagree
DISK_SPARE_KB=524288 # beside the release, packed and unpacked
SYSTEMD_MIN=247      # ExecCondition, ProtectProc
MTU_ADVISED=9000

# A node's facts, or why there are none, in files; always well.
preflight_ask() { # NAME
    local name=$1 begun ended
    rm -f "$RUN/$name/facts" "$RUN/$name/trouble" "$RUN/$name/root"
    if ! ssh_connect "$name" >"$RUN/$name/trouble"; then return 0; fi
    if ! node_system "$name" >"$RUN/$name/facts"; then
        echo "its system is neither Linux nor macOS" >"$RUN/$name/trouble"
        return 0
    fi
    begun=$(now_ms)
    if node_run "$name" facts "$(node_field "$name" host)" "$(node_field "$name" port)" \
        "$(node_field "$name" api_port)" >>"$RUN/$name/facts" 2>"$RUN/$name/trouble"; then
        ended=$(now_ms)
        echo "asked_ms=$(((begun + ended) / 2))" >>"$RUN/$name/facts"
        rm -f "$RUN/$name/trouble"
    fi
}

now_ms() { perl -MTime::HiRes=time -e 'printf "%d", 1000 * time'; }

# How far each node's clock is from the median of all.
preflight_clocks() {
    local name median
    for name in "${NODES[@]}"; do
        [ -z "$(node_fact "$name" asked_ms)" ] ||
            awk -v t="$(node_fact "$name" time)" -v a="$(node_fact "$name" asked_ms)" \
                'BEGIN { printf "%d\n", 1000 * t - a }' | tee "$RUN/$name/clock"
    done | sort -n >"$RUN/clocks"
    median=$(awk '{ at[NR] = $1 } END { print at[int((NR + 1) / 2)] + 0 }' "$RUN/clocks")
    for name in "${NODES[@]}"; do
        [ ! -e "$RUN/$name/clock" ] ||
            echo "clock_off_ms=$(($(cat "$RUN/$name/clock") - median))" >>"$RUN/$name/facts"
    done
}

check_ssh() {
    [ -e "$RUN/$1/root" ] && echo ok || printf 'FAIL\t%s\n' "$(cat "$RUN/$1/trouble")"
}

check_sudo() {
    if [ -n "$(node_fact "$1" asked_ms)" ]; then echo ok; else
        printf 'FAIL\tnobody is root there without a password: %s\n' "$(tail -n 2 "$RUN/$1/trouble" | tr '\n' ' ')"
    fi
}

check_os() {
    local manager
    manager=$(node_fact "$1" manager)
    if [ "$(node_fact "$1" system)" = macos ]; then
        node_fact "$1" os
    elif [ -z "$manager" ]; then
        printf 'FAIL\t%s has no systemd, which starts the services\n' "$(node_fact "$1" os)"
    elif [ "${manager%%[!0-9]*}" -lt "$SYSTEMD_MIN" ]; then
        printf 'FAIL\tsystemd %s is too old, %s is needed\n' "$manager" "$SYSTEMD_MIN"
    elif [ -n "$(node_fact "$1" tools)" ]; then
        printf 'FAIL\tinstall first: %s\n' "$(node_fact "$1" tools)"
    else
        node_fact "$1" os | sed 's/GNU\/Linux //'
    fi
}

check_cpu() {
    local platform
    platform=$(node_fact "$1" platform)
    if [ "$NEEDS_RELEASE" = yes ] && ! release_file "$platform" >/dev/null; then
        printf 'FAIL\tthere is no release %s for %s: run scripts/build_release.sh on such a machine and copy dist/ here\n' \
            "$VERSION" "$platform"
    else
        echo "${platform#*-} x$(node_fact "$1" cores)"
    fi
}

check_memory() {
    awk -v kb="$(node_fact "$1" memory_kb)" -v want="$(node_field "$1" memory_gb)" 'BEGIN {
        gb = kb / 1048576
        if (want > gb) printf "FAIL\tit has %.1f GiB, the configuration gives Pomona %.1f\n", gb, want
        else printf "%.1f GiB\n", gb }'
}

check_disk() {
    local need=$DISK_SPARE_KB file where free
    if [ "$NEEDS_RELEASE" = yes ] && file=$(release_file "$(node_fact "$1" platform)"); then
        need=$((need + $(wc -c <"$file") * 6 / 1024)) # packed once, unpacked to some three times that
    fi
    for where in opt data; do
        free=$(node_fact "$1" "free_${where}_kb")
        if [ "$free" -lt "$need" ]; then
            printf 'FAIL\t%s MiB are free for %s, %s are needed: make room\n' "$((free / 1024))" \
                "$([ $where = opt ] && echo /opt/pomona || echo 'the data')" "$((need / 1024))"
            return
        fi
    done
    echo "$(($(node_fact "$1" free_opt_kb) / 1048576)) GiB"
}

# Its own service may have them; one that just crashes may not.
check_ports() {
    local busy
    busy=$(node_fact "$1" busy_ports)
    case $(node_fact "$1" service) in
    active | activating | deactivating | reloading) echo ok ;;
    *) [ -z "$busy" ] && echo ok || printf 'FAIL\tsomething else listens on port %s\n' "$busy" ;;
    esac
}

check_time() {
    local off
    off=$(node_fact "$1" clock_off_ms)
    if [ "${off#-}" -gt "$TIME_OFF_MS" ]; then
        printf 'FAIL\tits clock is %s ms from the others: set up time synchronisation\n' "$off"
    else
        echo ok
    fi
}

check_mtu() {
    local mtu others
    mtu=$(node_fact "$1" mtu)
    others=$(for name in "${NODES[@]}"; do node_fact "$name" mtu; done | sort -u | grep -c . || true)
    if [ -z "$mtu" ]; then
        printf 'FAIL\tno interface of it has the address %s\n' "$(node_field "$1" host)"
    elif [ "$others" -gt 1 ]; then
        printf 'warn %s\tthe nodes differ in MTU: large packets may be lost between them\n' "$mtu"
    elif [ "$mtu" -lt "$MTU_ADVISED" ]; then
        printf '%s\t\n' "$mtu"
    else
        echo "$mtu"
    fi
}

check_release() {
    local current
    current=$(node_fact "$1" current)
    if [ -z "$current" ]; then
        [ "$NEEDS_DEPLOYED" = no ] && echo none || printf 'FAIL\tnothing is deployed there: run deploy first\n'
    else
        echo "$current"
    fi
}

# One node's line; what is wrong goes to $RUN/trouble.  After a node that is not reached there is no more.
preflight_line() { # NAME
    local name=$1 check said line=$1
    for check in "${CHECKS[@]}"; do
        said=$("check_$check" "$name")
        line="$line"$'\t'"${said%%$'\t'*}"
        case $said in
        *$'\t'?*) printf '%s\t%s\t%s\n' "$name" "$check" "$said" >>"$RUN/trouble" ;;
        esac
        case $check:$said in ssh:FAIL* | sudo:FAIL*) break ;; esac
    done
    printf '%s\n' "$line"
}

# Ask, judge, show.  False where something stops the run; the nodes that may go on are PASSED.
PASSED=()
preflight() {
    local name
    say_step "looking at ${#NODES[@]} nodes"
    nodes_all preflight_ask "${NODES[@]}" || die "the nodes could not be asked: $(cat "$RUN/${FAILED_NODES[0]}/said")"
    preflight_clocks
    : >"$RUN/trouble"
    {
        (IFS=$'\t'; printf 'node\t%s\n' "${CHECKS[*]}") | tr '[:lower:]' '[:upper:]'
        for name in "${NODES[@]}"; do preflight_line "$name"; done
    } | table
    PASSED=()
    for name in "${NODES[@]}"; do
        awk -F '\t' -v name="$name" '$1 == name && $3 ~ /^FAIL/ { found = 1 } END { exit found }' "$RUN/trouble" &&
            PASSED+=("$name")
    done
    awk -F '\t' -v red="$RED" -v plain="$PLAIN" \
        '{ printf "%s%s: %s: %s%s\n", ($3 ~ /^FAIL/ ? red : ""), $1, $2, $4, ($3 ~ /^FAIL/ ? plain : "") }' "$RUN/trouble"
    [ ${#PASSED[@]} -eq ${#NODES[@]} ]
}

preflight_or_refuse() {
    preflight && return
    say "nothing was changed: ${#NODES[@]} nodes have to pass every check, ${#PASSED[@]} do"
    exit "$EXIT_REFUSED"
}
