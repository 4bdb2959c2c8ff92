#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/prometheus_targets.sh - the nodes of cluster_nodes.json, and their health monitors, as targets of Prometheus.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib/say.sh
. "$root/scripts/lib/say.sh"

usage() {
    cat <<EOF
usage: scripts/prometheus_targets.sh [--config FILE] [--port N] [--health-port N] [--output FILE]

Write where Prometheus finds the metrics of each node, for its file discovery. Run it again
when nodes come or go: Prometheus reads the file within half a minute.

  --config FILE  the cluster (default config/cluster_nodes.json)
  --port N       of the metrics of each node, as in api_gateway.yaml (default 8000)
  --health-port N  of the health monitor on each node, into health.json beside the output; its listen has to
                 let Prometheus in (config/health_monitor.yaml). Without this monitors are not scraped.
  --output FILE  what to write (default config/prometheus/targets/pomona.json; - for the terminal)

Example:
  scripts/prometheus_targets.sh --config /etc/pomona/cluster_nodes.json
EOF
}

config=$root/config/cluster_nodes.json
output=$root/config/prometheus/targets/pomona.json
port=8000
health_port=''
while [ $# -gt 0 ]; do
    case $1 in
    --config | --port | --health-port | --output)
        [ $# -ge 2 ] || die_use "$1 needs a value"
        case $1 in
        --config) config=$2 ;;
        --port) port=$2 ;;
        --health-port) health_port=$2 ;;
        --output) output=$2 ;;
        esac
        shift 2
        ;;
    -h | --help) usage && exit 0 ;;
    *) die_use "'$1' is not understood" ;;
    esac
done
port_check() { # OPTION VALUE
    case $2 in '' | *[!0-9]*) die_use "$1 '$2' is no number" ;; esac
    if [ "$2" -lt 1 ] || [ "$2" -gt 65535 ]; then die_use "$1 $2 is not between 1 and 65535"; fi
}

port_check --port "$port"
[ -z "$health_port" ] || port_check --health-port "$health_port"
[ -r "$config" ] || die "'$config' cannot be read"
command -v jq >/dev/null || die "jq is needed: install it with apt-get or brew"

# An IPv6 address stands in brackets before a port.
targets() { # PORT
    jq --arg port "$1" '
        [ .cluster.name as $cluster | .nodes[]
          | { targets: [ (if .host | contains(":") then "[\(.host)]" else .host end) + ":" + $port ],
              labels: { cluster: $cluster, node: .name } } ]' "$config" ||
        die "'$config' is not a cluster's configuration"
}

put() { # FILE TEXT
    printf '%s\n' "$2" >"$1.new"
    mv "$1.new" "$1"
    say "$(jq length <<<"$2") in $1"
}

made=$(targets "$port")
health='[]'
[ -z "$health_port" ] || health=$(targets "$health_port")
if [ "$output" = - ]; then
    printf '%s\n' "$made"
    [ -z "$health_port" ] || printf '%s\n' "$health"
    exit 0
fi
put "$output" "$made"
put "$(dirname "$output")/health.json" "$health"
