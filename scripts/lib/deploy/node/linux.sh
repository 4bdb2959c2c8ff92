# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/node/linux.sh - a node that systemd manages.
# shellcheck shell=bash disable=SC2034  # settings of common.sh

DATA=/var/lib/pomona
POMONA_USER=pomona
POMONA_GROUP=pomona
SERVICE=mlx-api-server.service
MONITOR=mlx-health-monitor.service
UNITS=/etc/systemd/system

system_facts() { # HOST PORT API_PORT
    local name=''
    [ ! -r /etc/os-release ] || name=$(. /etc/os-release && echo "$PRETTY_NAME")
    fact system linux
    fact os "$name"
    fact platform "linux-$(uname -m)"
    fact manager "$(systemctl --version 2>/dev/null | awk 'NR == 1 { print $2 }')"
    fact cores "$(getconf _NPROCESSORS_ONLN)"
    fact memory_kb "$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)"
    fact mtu "$(mtu_of "$1")"
    fact busy_ports "$(busy_ports "$2" "$3")"
    fact tools "$(tools_missing)"
}

# Of the interface that has the address.
mtu_of() {
    local interface
    interface=$(ip -o addr 2>/dev/null | awk -v want="$1" '{ split($4, a, "/"); if (a[1] == want) print $2 }')
    [ -z "$interface" ] || cat "/sys/class/net/${interface%%@*}/mtu" 2>/dev/null || true
}

# Which of the ports something listens on: /proc/net/tcp has them in hexadecimal, state 0A is listening.
busy_ports() {
    local port
    for port in "$@"; do
        cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
            awk -v port="$(printf ':%04X' "$port")" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 }
                 END { exit !found }' && printf '%s ' "$port"
    done
    return 0
}

# What the scripts themselves need and a small system may lack; the packages bring curl.
tools_missing() {
    local tool
    for tool in tar gzip perl awk sed diff systemctl logger; do
        command -v "$tool" >/dev/null || printf '%s ' "$tool"
    done
}

service_facts() {
    fact service "$(systemctl is-active $SERVICE 2>/dev/null || true)"
    fact monitor "$(systemctl is-active $MONITOR 2>/dev/null || true)"
    fact restarts "$(service_restarts)"
    fact running "$(service_release)"
    fact since "$(systemctl show -P ActiveEnterTimestamp $SERVICE 2>/dev/null || true)"
}

service_restarts() {
    local n
    n=$(systemctl show -P NRestarts $SERVICE 2>/dev/null || true)
    echo "${n:-0}"
}

# The release whose program the running service is; nothing while it starts or does not run.
service_release() {
    local pid program
    [ "$(systemctl is-active $SERVICE 2>/dev/null)" = active ] || return 0
    pid=$(systemctl show -P MainPID $SERVICE)
    program=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 0
    case $program in
    "$RELEASES"/*) program=${program#"$RELEASES"/} && echo "${program%%/*}" ;;
    *) echo "$program" ;;
    esac
}

service_log() { journalctl -u $SERVICE -n "$1" --no-pager -o cat 2>/dev/null || true; }

user_make() {
    getent passwd $POMONA_USER >/dev/null ||
        useradd --system --user-group --home-dir $DATA --no-create-home --shell /usr/sbin/nologin $POMONA_USER
}

packages_missing() {
    local name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$name"
    done
}

# From the lists that are there first: a machine without a way out may have them and the packages.
packages_install() { # FILE
    local missing said
    if ! command -v apt-get >/dev/null; then
        said=$(ldd "$(dirname "$1")/bin/pomona" | awk '/not found/ { print $1 }' | tr '\n' ' ')
        [ -z "$said" ] || fail "install what has these libraries, then again: $said"
        return
    fi
    # shellcheck disable=SC2046  # names of packages
    missing=$(packages_missing $(cat "$1"))
    [ -n "$missing" ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of names
    said=$(apt-get install -y --no-install-recommends $missing 2>&1) ||
        said=$(apt-get update 2>&1 &&
            apt-get install -y --no-install-recommends $missing 2>&1) ||
        fail "apt-get could not install $missing: $(tail -n 3 <<<"$said")"
    fact installed "$missing"
}

services_install() { # RELEASE NODE
    install -m 644 "$1/systemd/$SERVICE" "$1/systemd/$MONITOR" $UNITS/
    systemctl daemon-reload
    systemctl --quiet enable $SERVICE $MONITOR
}

# The service is waited for by the gate.
services_restart() {
    systemctl reset-failed $SERVICE 2>/dev/null || true
    systemctl --no-block restart $SERVICE
    systemctl --no-block restart $MONITOR
}

services_remove() {
    systemctl --quiet disable --now $MONITOR $SERVICE 2>/dev/null || true
    rm -f $UNITS/$SERVICE $UNITS/$MONITOR
    systemctl daemon-reload
}
