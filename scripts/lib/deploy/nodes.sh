# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/nodes.sh - the nodes of cluster_nodes.json that a command is about.
#
# Bash 3.2, which macOS has, knows no maps: what is learnt of a node is a file of its name's folder,
#   $RUN/NAME/host port api_port memory_gb   as the configuration says
#   $RUN/NAME/facts                          NAME=VALUE, as node/common.sh told
# shellcheck shell=bash

NODES=()     # that the command is about
ALL_NODES=() # of the cluster

nodes_read() { # CONFIG LIST
    local config=$1 list=$2 name
    [ -r "$config" ] || die "there is no '$config': name the cluster's description with --config"
    jq -e '.nodes | type == "array" and length > 0' "$config" >/dev/null 2>&1 ||
        die "'$config' is no description of a cluster: it needs a list 'nodes' (config/cluster_nodes.json shows one)"
    nodes_check "$config"
    while IFS= read -r name; do
        ALL_NODES+=("$name")
        mkdir -p "$RUN/$name"
        nodes_note "$config" "$name"
    done < <(jq -r '.nodes[].name' "$config")
    if [ -z "$list" ]; then
        NODES=("${ALL_NODES[@]}")
        return
    fi
    while IFS= read -r name; do
        if [ -z "$name" ] || [ ! -e "$RUN/$name/host" ]; then
            die_use "there is no node '$name'; there are ${ALL_NODES[*]}"
        fi
        NODES+=("$name")
    done < <(tr ',' '\n' <<<"$list")
}

# Names become names of files and words of commands.
nodes_check() { # CONFIG
    local bad
    bad=$(jq -r '.nodes[] | select((.name | tostring | test("^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$") | not)
                 or (.host | tostring | test("^[0-9A-Za-z.:%_-]+$") | not)) | .name' "$1" | sed -n 1p)
    [ -z "$bad" ] || die "node '$bad' of '$1' has a name or a host that is none"
    [ -z "$(jq -r '.nodes[].name' "$1" | sort | uniq -d)" ] || die "two nodes of '$1' have one name"
}

nodes_note() { # CONFIG NAME
    local field
    for field in host port api_port memory_gb; do
        jq -r --arg name "$2" --arg field "$field" '.nodes[] | select(.name == $name)
            | {host, port: (.port // 52416), api_port: (.api_port // 52415), memory_gb: (.memory_gb // 0)}[$field]' \
            "$1" >"$RUN/$2/$field"
    done
}

node_field() { cat "$RUN/$1/$2"; } # NAME FIELD

# What the node told of itself; nothing where it did not.
node_fact() { # NAME FACT
    [ -r "$RUN/$1/facts" ] || return 0
    sed -n "s/^$2=//p" "$RUN/$1/facts" | tail -n 1
}

node_url() { # NAME
    local host
    host=$(node_field "$1" host)
    case $host in *:*) host="[$host]" ;; esac
    echo "$SCHEME://$host:$(node_field "$1" api_port)"
}

# Do the same for every node at one time; each one's words are in $RUN/NAME/said.  The nodes where it failed
# are in FAILED_NODES.
FAILED_NODES=()
nodes_all() { # FUNCTION NODE...
    local work=$1 name pids=() i=0
    shift
    FAILED_NODES=()
    for name in "$@"; do
        "$work" "$name" >"$RUN/$name/said" 2>&1 &
        pids+=($!)
    done
    for name in "$@"; do
        ssh_await "${pids[$i]}" || FAILED_NODES+=("$name")
        i=$((i + 1))
    done
    [ ${#FAILED_NODES[@]} -eq 0 ]
}

nodes_tell_failures() { # WHAT
    local name
    for name in "${FAILED_NODES[@]}"; do
        say "$RED$name$PLAIN: $1: $(tail -n 15 "$RUN/$name/said" | tr -d '\r')"
    done
}
