# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/lock.sh - one run at a time, here and on every node.
#
# Both are flock(2), by perl, which Debian's minimal system and macOS have: a lock goes with the process
# that holds it, so none is left behind.  On a node it is held by a command whose standard input is
# a pipe of this run: when the run ends, however it does, the pipe ends, and the lock.
# shellcheck shell=bash

LOCK_HERE='use Fcntl ":flock"; open(F, ">&=", 9) or exit 2; exit(flock(F, LOCK_EX | LOCK_NB) ? 0 : 1);'
# shellcheck disable=SC2016  # perl's variables
LOCK_THERE='use Fcntl ":flock"; $| = 1; mkdir "/opt/pomona", 0755; open(F, "+>>", "/opt/pomona/lock") or die "$!\n";
if (!flock(F, LOCK_EX | LOCK_NB)) { seek(F, 0, 0); print "held ", scalar(<F>); exit 1; }
truncate(F, 0); print F "$ARGV[0]\n"; F->flush; print "locked\n"; 1 while sysread(STDIN, $_, 1); truncate(F, 0);'

lock_here() { # CLUSTER
    local file="$STATE/$1.lock"
    exec 9>>"$file"
    perl -e "$LOCK_HERE" || {
        say "another run of ${0##*/} has to do with cluster '$1': wait for it to end ($file)"
        exit "$EXIT_LOCKED"
    }
}

# Held until the end of this process: descriptor 8 is the end of the pipe.
lock_node() { # NAME
    local root who answer=''
    root=$(cat "$RUN/$1/root")
    who="$(id -un)@$(uname -n) process $$, $COMMAND since $(date -u +%H:%M:%S) UTC"
    rm -f "$RUN/$1/lock.out"
    mkfifo "$RUN/$1/lock.out"
    set -m # Ctrl-C is not for what holds a lock
    # shellcheck disable=SC2029  # made here, for there
    ssh "${SSH_OPTIONS[@]}" "$(node_field "$1" host)" \
        "$root perl -e $(printf '%q' "$LOCK_THERE") $(printf '%q' "$who")" \
        <"$RUN/lock.in" >"$RUN/$1/lock.out" 2>"$RUN/$1/lock.err" 8>&- 9>&- &
    set +m
    exec 7<>"$RUN/$1/lock.out"
    IFS= read -r -t 20 answer <&7 || true
    exec 7<&-
    [ "$answer" = locked ] && return
    echo "is locked: ${answer#held }$(cat "$RUN/$1/lock.err")"
    return 1
}

lock_nodes() { # NODE...
    local name refused=no
    mkfifo "$RUN/lock.in"
    exec 8<>"$RUN/lock.in"
    for name in "$@"; do
        lock_node "$name" >"$RUN/$name/said" || { refused=yes && say "$RED$name$PLAIN $(cat "$RUN/$name/said")"; }
    done
    [ "$refused" = no ] || {
        say "nothing was changed: another run is at work on these nodes"
        exit "$EXIT_LOCKED"
    }
}
