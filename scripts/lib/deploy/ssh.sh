# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/ssh.sh - one connection to each node, kept for the whole run.
#
# Who logs in, where and with which key is ssh's own affair: ~/.ssh/config, or --ssh-config FILE.  Host
# keys have to be known; passwords are never asked for.
#
# What runs on a node runs apart from the terminal: Ctrl-C does not tear a node's change in two,
# it is heard between two steps (roll.sh).
# shellcheck shell=bash

SSH_OPTIONS=(-o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3
    -o LogLevel=ERROR)
SSH_LIB=scripts/lib/deploy/node

ssh_begin() { # CONFIG ACCEPTS-NEW-HOSTS
    [ -z "$1" ] || SSH_OPTIONS+=(-F "$1")
    if [ "$2" = yes ]; then
        SSH_OPTIONS+=(-o StrictHostKeyChecking=accept-new)
    else
        SSH_OPTIONS+=(-o StrictHostKeyChecking=yes)
    fi
    mkdir -m 700 "$RUN/.ssh"
    SSH_OPTIONS+=(-o "ControlPath=$RUN/.ssh/%C")
}

# Wait for a child to its end, whatever signals come meanwhile.
ssh_await() { # PID
    local status
    while :; do
        status=0
        wait "$1" || status=$?
        if [ "$status" -le 128 ] || ! kill -0 "$1" 2>/dev/null; then return "$status"; fi
    done
}

ssh_apart() { # COMMAND...
    set -m
    "$@" <&0 &
    set +m
    ssh_await $!
}

# The master connection, and how to be root there.  Its failure says what to do.
ssh_connect() { # NAME
    local host said uid
    host=$(node_field "$1" host)
    if ! said=$(ssh_apart ssh "${SSH_OPTIONS[@]}" -o ControlMaster=yes -o ControlPersist=600 -n "$host" id -u \
        2>"$RUN/$1/ssh" 9>&-); then
        ssh_explain "$1" "$host"
        return 1
    fi
    uid=$(tail -n 1 <<<"$said")
    if [ "$uid" = 0 ]; then : >"$RUN/$1/root"; else echo "sudo -n" >"$RUN/$1/root"; fi
}

ssh_explain() { # NAME HOST
    local words
    words=$(tr '\r\n' '  ' <"$RUN/$1/ssh")
    case $words in
    *"Permission denied"*) echo "its key is refused: put your public key into authorized_keys there, or name the right one in ssh's configuration" ;;
    *"HOST IDENTIFICATION HAS CHANGED"* | *"differs from the key"*) echo "its host key is not the one that is known: another machine answers, or it was installed anew" ;;
    *"Host key verification failed"* | *"host key is known"*) echo "its host key is not known: compare it, then 'ssh-keyscan $2 >> ~/.ssh/known_hosts', or --accept-new-hosts" ;;
    *"timed out"* | *"No route"* | *"refused"* | *"unreachable"*) echo "not reached at $2: is it on, and sshd running? ($words)" ;;
    *) echo "ssh $2: ${words:-failed}" | cut -c 1-300 ;;
    esac
}

# Run a verb of node/*.sh as root on a node.
node_run() { # NAME VERB ARGUMENT...
    local name=$1 system root words
    shift
    system=$(node_fact "$name" system)
    root=$(cat "$RUN/$name/root")
    words=$(printf '%q ' "$@")
    {
        printf 'POMONA_API_KEY=%q\n' "${POMONA_API_KEY:-}"
        cat "$SSH_LIB/common.sh" "$SSH_LIB/${system:-linux}.sh" "$SSH_LIB/run.sh"
    } | ssh_apart ssh "${SSH_OPTIONS[@]}" "$(node_field "$name" host)" "$root bash -s -- $words" 9>&-
}

# Standard input into a file there, mode 600, whole or not at all.
node_put() { # NAME PATH
    local root
    root=$(cat "$RUN/$1/root")
    ssh_apart ssh "${SSH_OPTIONS[@]}" "$(node_field "$1" host)" \
        "$root sh -c 'umask 077 && cat >$2.partial && mv $2.partial $2 || { rm -f $2.partial; exit 1; }'" 9>&-
}

# Which system: what is asked before node_run() can send the right file.
node_system() { # NAME
    local host
    host=$(node_field "$1" host)
    case $(ssh_apart ssh "${SSH_OPTIONS[@]}" -n "$host" uname -s 9>&-) in
    Linux) echo system=linux ;;
    Darwin) echo system=macos ;;
    *) return 1 ;;
    esac
}

ssh_end() {
    local name
    for name in ${NODES[@]+"${NODES[@]}"}; do
        [ ! -e "$RUN/$name/root" ] ||
            ssh "${SSH_OPTIONS[@]}" -O exit "$(node_field "$name" host)" >/dev/null 2>&1 || true
    done
}
