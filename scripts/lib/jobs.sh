# SPDX-License-Identifier: Apache-2.0
# scripts/lib/jobs.sh - child processes that never outlive the script.
#
# Every child gets a process group of its own (bash's job control does that on
# every platform; setsid is missing on macOS), so that ending it ends what it
# started too.  Steps run in the background and are waited for, because bash
# runs traps at once during wait, but only afterwards during a foreground
# command.
# shellcheck shell=bash

JOBS=()         # process groups to end
JOBS_GRACE=50   # tenths of a second between asking and killing

# Start a command in its own group; its id is in $!.
job_start() {
    set -m
    "$@" &
    set +m
    JOBS+=("$!")
}

# Run a command to its end, interruptibly.
job_run() {
    local pid status=0
    job_start "$@"
    pid=$!
    wait "$pid" || status=$?
    job_forget "$pid"
    return "$status"
}

# The script lets a group live on.
job_forget() {
    local pid kept=()
    for pid in ${JOBS[@]+"${JOBS[@]}"}; do
        [ "$pid" = "$1" ] || kept+=("$pid")
    done
    JOBS=(${kept[@]+"${kept[@]}"})
}

job_group_lives() { kill -0 -- "-$1" 2>/dev/null; }

# Ask the groups to end, wait, then make them.
jobs_end_groups() {
    local pid tenths
    for pid in "$@"; do
        kill -TERM -- "-$pid" 2>/dev/null || true
        kill -CONT -- "-$pid" 2>/dev/null || true
    done
    for pid in "$@"; do
        tenths=0
        while job_group_lives "$pid" && [ "$tenths" -lt "$JOBS_GRACE" ]; do
            sleep 0.1
            tenths=$((tenths + 1))
        done
        kill -KILL -- "-$pid" 2>/dev/null || true
    done
}

# The last child may have been started without having been written down yet.
jobs_end() {
    jobs_end_groups ${JOBS[@]+"${JOBS[@]}"} ${!:+"$!"}
    JOBS=()
}
