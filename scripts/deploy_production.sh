#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/deploy_production.sh - Pomona on the machines of cluster_nodes.json, over SSH.
#
# Nothing changes before every node passed every check, nothing is switched before every node has
# all it needs, and a node that does not serve afterwards goes back to what it ran.  docs/deployment.md
# is the manual; what is done on a node is in scripts/lib/deploy/node.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh
. scripts/lib/deploy/nodes.sh
. scripts/lib/deploy/ssh.sh
. scripts/lib/deploy/lock.sh
. scripts/lib/deploy/table.sh
. scripts/lib/deploy/preflight.sh
. scripts/lib/deploy/release.sh
. scripts/lib/deploy/roll.sh
. scripts/lib/deploy/commands.sh

EXIT_REFUSED=3
EXIT_LOCKED=4
COMMAND=''
CONFIG=config/cluster_nodes.json
GATEWAY_CONFIG=''
SECRETS=''
SSH_CONFIG=''
ACCEPT_NEW=no
LIST=''
DRY_RUN=no
YES=no
VERSION=''
MODEL=''
KEEP=3
SCHEME=http
STATE=${XDG_STATE_HOME:-$HOME/.local/state}/pomona/deploy
RUN=''
ROLLING=no

usage() {
    cat <<EOT
usage: scripts/deploy_production.sh COMMAND [options]

commands:
  deploy     bring release and configuration to every node, start what does not run yet, update what does
  update     the same for nodes that run one already, without a break
  rollback   back to the release before, or to --version V, with the configuration it had
  status     what runs where
  validate   status, and a real answer by each node

options:
  --config FILE           the cluster (default config/cluster_nodes.json)
  --nodes A,B             these nodes alone (default: all)
  --version V             which release: of dist/, or for rollback one that the nodes keep
  --release FILE          an archive of scripts/build_release.sh in place of dist/; once for each platform
  --gateway-config FILE   (default: api_gateway.yaml beside the cluster's file, else config/'s)
  --secrets DIR           cluster.key, tls/, monitor.env, api_keys.json (default ~/.config/pomona/deploy/CLUSTER)
  --model NAME            that validate asks
  --ssh-config FILE       in place of ~/.ssh/config
  --accept-new-hosts      take host keys that are not known yet
  --drain-wait SECONDS    for a node to hold nothing before it is restarted (default 120)
  --gate-wait SECONDS     for a node to serve again (default 180)
  --keep N                releases to keep on each node (default 3)
  --dry-run               every check, no change
  --yes                   do not ask
  -h, --help              show this

exit status: 0 done, 1 failed (and gone back), 2 wrong use, 3 refused, nothing was changed, 4 another run is at work
EOT
}

number() { # OPTION VALUE
    case $2 in '' | *[!0-9]*) die_use "$1 takes a number, not '$2'" ;; esac
    echo "$2"
}

value() { [ -n "${2:-}" ] || die_use "$1 needs a value"; }

options_read() {
    while [ $# -gt 0 ]; do
        case $1 in
        --config) value "$@" && CONFIG=$2 && shift ;;
        --nodes) value "$@" && LIST=$2 && shift ;;
        --version) value "$@" && VERSION=$2 && shift ;;
        --release) value "$@" && RELEASE_FILES+=("$2") && shift ;;
        --gateway-config) value "$@" && GATEWAY_CONFIG=$2 && shift ;;
        --secrets) value "$@" && SECRETS=$2 && shift ;;
        --model) value "$@" && MODEL=$2 && shift ;;
        --ssh-config) value "$@" && SSH_CONFIG=$2 && shift ;;
        --accept-new-hosts) ACCEPT_NEW=yes ;;
        --drain-wait) value "$@" && DRAIN_S=$(number "$1" "$2") && shift ;;
        --gate-wait) value "$@" && GATE_S=$(number "$1" "$2") && shift ;;
        --keep) value "$@" && KEEP=$(number "$1" "$2") && shift ;;
        --dry-run) DRY_RUN=yes ;;
        --yes) YES=yes ;;
        -h | --help) usage && exit 0 ;;
        -*) die_use "'$1' is not understood" ;;
        *)
            [ -z "$COMMAND" ] || die_use "'$1' is one word too many"
            COMMAND=$1
            ;;
        esac
        shift
    done
    case $COMMAND in
    deploy | update | rollback | status | validate) ;;
    '') usage >&2 && exit 2 ;;
    *) die_use "there is no command '$COMMAND'" ;;
    esac
    case $VERSION in *[!A-Za-z0-9._+]*) die_use "'$VERSION' is no version" ;; esac
    case $MODEL in *[!A-Za-z0-9._:/@-]*) die_use "'$MODEL' is no name of a model" ;; esac
}

tools_check() {
    local tool
    for tool in jq ssh perl awk tar; do
        command -v "$tool" >/dev/null || die "'$tool' is needed here: install it (apt-get install $tool, brew install $tool)"
    done
}

on_exit() {
    local status=$?
    trap '' INT TERM HUP
    case $status in
    [0-4] | 130) ;;
    *) say "${0##*/}: a step failed unexpectedly (status $status); run status to see where the nodes are" ;;
    esac
    ssh_end
    rm -rf "$RUN"
    [ -z "${TEE:-}" ] || { exec >&- 2>&- && wait "$TEE" 2>/dev/null; }
    exit "$status"
}

on_signal() {
    STOP_ASKED=yes
    [ "$ROLLING" = yes ] || exit 130
    say "asked to stop: the node at hand is finished first"
}

# All that is said goes to the log, too.
log_begin() {
    mkdir -p "$STATE"
    chmod 700 "$STATE"
    LOG=$STATE/$(date -u +%Y%m%dT%H%M%SZ)-$COMMAND-$CLUSTER.log
    mkfifo "$RUN/log"
    set -m # Ctrl-C is not for what writes the log
    tee -a "$LOG" <"$RUN/log" &
    TEE=$!
    set +m
    exec >"$RUN/log" 2>&1
    printf '%s %s %s\n' "$(date -u +%FT%TZ)" "$(id -un)@$(uname -n)" "$0 $*" >>"$LOG"
}

options_read "$@"
tools_check
RUN=$(mktemp -d /tmp/pomona-deploy.XXXXXX) # short: a socket's path has 104 bytes
trap on_exit EXIT
trap on_signal INT TERM HUP
nodes_read "$CONFIG" "$LIST"
CLUSTER=$(jq -r '.cluster.name // "pomona"' "$CONFIG" | tr -c 'A-Za-z0-9._\n-' _)
GATEWAY_CONFIG=${GATEWAY_CONFIG:-$(beside "$CONFIG" api_gateway.yaml)}
[ -r "$GATEWAY_CONFIG" ] || die "there is no '$GATEWAY_CONFIG'"
SECRETS=${SECRETS:-${XDG_CONFIG_HOME:-$HOME/.config}/pomona/deploy/$CLUSTER}
if grep -q '^tls:' "$GATEWAY_CONFIG"; then SCHEME=https; fi
log_begin "$@"
ssh_begin "$SSH_CONFIG" "$ACCEPT_NEW"
"command_$COMMAND"
