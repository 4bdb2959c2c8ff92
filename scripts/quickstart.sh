#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/quickstart.sh - from a fresh checkout to an answer from two nodes, in one command.
#
# Packages, build, model, cluster, placement, answer: six steps, each of which
# costs next to nothing when its work is already done.  Whatever was started
# ends with the script, also on Ctrl-C, unless --keep is given.
#
#   .cache/quickstart/run.XXXXXX/   one run: configuration, logs, data of each node
#   .cache/quickstart/kept          the run that --keep left behind, for --stop
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh
. scripts/lib/jobs.sh
. scripts/lib/packages.sh

PROMPT="In two sentences: why is the sky blue?"
KEEP=no
STATE=.cache/quickstart
KEPT=$STATE/kept
POMONA=build/release/pomona
MODEL=smollm2
NODES=(quick-1 quick-2)
PIDS=()
RUN=''

usage() {
    cat <<EOF
usage: scripts/quickstart.sh [--keep | --stop] [--prompt TEXT]

Build Pomona, fetch a small model, start two nodes on this machine, split the
model between them and stream one answer through their API. Packages that are
missing are installed with apt-get (sudo where needed) or brew.

  --keep         leave the two nodes running and say how to talk to them
  --stop         end the nodes that --keep left running
  --prompt TEXT  what to ask
  -h, --help     show this
EOF
}

on_exit() {
    local status=$?
    trap '' INT TERM HUP
    jobs_end
    [ -z "$RUN" ] || rm -rf "$RUN"
    exit "$status"
}

step_packages() {
    say_step "1/6 packages"
    packages_install "$STATE/packages.log" build run
}

# CMake configures again by itself when its files have changed.
step_build() {
    say_step "2/6 build (release)"
    [ -f build/release/build.ninja ] ||
        job_run cmake --preset release >"$STATE/build.log" 2>&1 || build_failed
    job_run cmake --build --preset release --target pomona >"$STATE/build.log" 2>&1 || build_failed
    say_detail "$("$POMONA" version)"
}

build_failed() {
    tail -n 40 "$STATE/build.log" >&2
    die "the build failed; the whole log is in $STATE/build.log"
}

step_model() {
    say_step "3/6 model"
    job_run scripts/fetch_smollm2.sh >"$RUN/model" || die "the model could not be fetched"
    say_detail "$(cat "$RUN/model")"
}

# Write the cluster's configuration, with ports that are free now: the usual API port first.
write_config() {
    python3 - "$RUN/cluster_nodes.json" "${NODES[@]}" <<'EOF'
import json, socket, sys

path, names = sys.argv[1], sys.argv[2:]
held = []

def free_port(wanted=0):
    for port in (wanted, 0):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            s.close()
            continue
        held.append(s)
        return s.getsockname()[1]
    raise SystemExit("no free port")

nodes = []
for i, name in enumerate(names):
    api_port = free_port(52415 if i == 0 else 0)
    nodes.append({"name": name, "host": "127.0.0.1", "port": free_port(), "api_port": api_port,
                  "memory_gb": 2.0, "threads": 0})
with open(path, "w") as out:
    json.dump({"cluster": {"name": "quickstart"}, "nodes": nodes}, out, indent=2)
print(nodes[0]["api_port"])
EOF
}

start_node() {
    local name=$1
    "$POMONA" import --data "$RUN/$name" --name "$MODEL" --link "$(cat "$RUN/model")" >/dev/null
    job_start nohup "$POMONA" serve --config "$RUN/cluster_nodes.json" --node "$name" \
        --data "$RUN/$name" >"$RUN/$name.log" 2>&1 </dev/null
    PIDS+=("$!")
}

nodes_failed() {
    tail -n 20 "$RUN"/quick-*.log >&2
    die "$1"
}

wait_for_cluster() {
    local tenths pid
    for ((tenths = 0; tenths < 200; tenths++)); do
        curl -fsS --noproxy '*' --max-time 2 "$API/health" 2>/dev/null |
            grep -Eq "\"nodes_alive\": ?${#NODES[@]}" && return
        for pid in "${PIDS[@]}"; do
            kill -0 "$pid" 2>/dev/null || nodes_failed "a node ended while starting"
        done
        sleep 0.1
    done
    nodes_failed "the nodes did not find each other within 20 s"
}

step_cluster() {
    local name port
    say_step "4/6 two nodes on this machine"
    port=$(write_config)
    API=http://127.0.0.1:$port
    for name in "${NODES[@]}"; do
        start_node "$name"
    done
    wait_for_cluster
    say_detail "${NODES[*]}, API at $API/v1"
}

step_place() {
    say_step "5/6 the model's layers over both"
    job_run "$POMONA" place "$MODEL" --api "$API" --nodes "$(IFS=,; echo "${NODES[*]}")" ||
        nodes_failed "the model could not be placed"
}

step_ask() {
    say_step "6/6 an answer through the API"
    say "$DIM$PROMPT$PLAIN"
    job_run python3 scripts/lib/ask.py "$API" "$MODEL" "$PROMPT" || nodes_failed "there is no answer"
}

keep() {
    local pid
    { echo "$RUN"; printf '%s\n' "${PIDS[@]}"; } >"$KEPT"
    for pid in "${PIDS[@]}"; do
        job_forget "$pid"
    done
    RUN=''
    cat <<EOF

The cluster is running. Talk to it:

  curl $API/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{"model":"$MODEL","messages":[{"role":"user","content":"Hello!"}]}'

  from openai import OpenAI
  client = OpenAI(base_url="$API/v1", api_key="none")

  $POMONA status --api $API

Stop it: scripts/quickstart.sh --stop
EOF
}

# A process id may have been given to another program since.
is_our_node() { ps -o command= -p "$1" 2>/dev/null | grep -q "pomona serve --config $2/"; }

stop() {
    local run pid ours=()
    [ -f "$KEPT" ] || { say "nothing is running"; return; }
    { read -r run; while read -r pid; do is_our_node "$pid" "$run" && ours+=("$pid"); done; } \
        <"$KEPT" || true
    jobs_end_groups ${ours[@]+"${ours[@]}"}
    case $run in
    "$STATE"/run.*) rm -rf "$run" ;;
    esac
    rm -f "$KEPT"
    say "stopped"
}

main() {
    [ ! -f "$KEPT" ] || die "a kept cluster is there: end it with 'scripts/quickstart.sh --stop'"
    mkdir -p "$STATE"
    trap on_exit EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    RUN=$(mktemp -d "$STATE/run.XXXXXX")
    step_packages
    step_build
    step_model
    step_cluster
    step_place
    step_ask
    [ "$KEEP" = no ] || keep
}

ACTION=main
while [ $# -gt 0 ]; do
    case $1 in
    --keep) KEEP=yes ;;
    --stop) ACTION=stop ;;
    --prompt)
        [ $# -ge 2 ] || die_use "--prompt needs a text"
        PROMPT=$2
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) die_use "'$1' is not understood" ;;
    esac
    shift
done
"$ACTION"
