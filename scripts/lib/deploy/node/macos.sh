# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/node/macos.sh - a node that launchd manages.
# shellcheck shell=bash disable=SC2034  # settings of common.sh

DATA=/var/db/pomona
POMONA_USER=_pomona
POMONA_GROUP=_pomona
SERVICE=mlx-api-server
MONITOR=mlx-health-monitor
DAEMONS=/Library/LaunchDaemons
LOGS=/var/log/pomona

system_facts() { # HOST PORT API_PORT
    fact system macos
    fact os "macOS $(sw_vers -productVersion)"
    fact platform "macos-$(uname -m)"
    fact manager launchd
    fact cores "$(sysctl -n hw.ncpu)"
    fact memory_kb "$(($(sysctl -n hw.memsize) / 1024))"
    fact mtu "$(mtu_of "$1")"
    fact busy_ports "$(busy_ports "$2" "$3")"
    fact tools "$(brew_owner >/dev/null || echo "brew (https://brew.sh)")"
}

mtu_of() {
    ifconfig | awk -v want="$1" '/^[a-z]/ { for (i = 1; i < NF; i++) if ($i == "mtu") mtu = $(i + 1) }
                                 $1 == "inet" && $2 == want { print mtu }'
}

busy_ports() {
    local port
    for port in "$@"; do
        if lsof -nP -iTCP:"$port" -sTCP:LISTEN >/dev/null 2>&1; then printf '%s ' "$port"; fi
    done
}

service_pid() { launchctl print "system/$SERVICE" 2>/dev/null | awk '$1 == "pid" { print $3; exit }'; }

service_facts() {
    local pid
    pid=$(service_pid)
    fact service "$([ -n "$pid" ] && echo active || echo inactive)"
    fact monitor "$(launchctl print "system/$MONITOR" >/dev/null 2>&1 && echo active || echo inactive)"
    fact restarts "$(service_restarts)"
    fact running "$(service_release)"
    fact since "$([ -z "$pid" ] || ps -o lstart= -p "$pid")"
}

# launchd counts every start.
service_restarts() {
    local n
    n=$(launchctl print "system/$SERVICE" 2>/dev/null | awk '$1 == "runs" { print $3; exit }')
    echo "${n:-0}"
}

service_release() {
    local pid program
    pid=$(service_pid)
    [ -n "$pid" ] || return 0
    program=$(lsof -a -p "$pid" -d txt -Fn 2>/dev/null | sed -n 's/^n//p' | sed -n 1p)
    case $program in
    */releases/*) program=${program#*/releases/} && echo "${program%%/*}" ;;
    *) echo "$program" ;;
    esac
}

service_log() { tail -n "$1" $LOGS/$SERVICE.log $LOGS/$SERVICE.crash.log 2>/dev/null || true; }

# The first number from 300 to 499 that no system user and no group has.
free_id() {
    { dscl . -list /Users UniqueID; dscl . -list /Groups PrimaryGroupID; } |
        awk '{ used[$2] = 1 } END { for (i = 300; i < 500; i++) if (!(i in used)) { print i; exit } }'
}

user_make() {
    local id
    if ! dscl . -read /Users/$POMONA_USER >/dev/null 2>&1; then
        id=$(free_id)
        dscl . -create /Groups/$POMONA_GROUP PrimaryGroupID "$id"
        dscl . -create /Users/$POMONA_USER UniqueID "$id"
        dscl . -create /Users/$POMONA_USER PrimaryGroupID "$id"
        dscl . -create /Users/$POMONA_USER UserShell /usr/bin/false
        dscl . -create /Users/$POMONA_USER NFSHomeDirectory $DATA
        dscl . -create /Users/$POMONA_USER IsHidden 1
    fi
    mkdir -p $LOGS
    chown $POMONA_USER:$POMONA_GROUP $LOGS
    chmod 750 $LOGS
}

# Homebrew refuses root: it runs as who owns it.
brew_owner() {
    local prefix
    for prefix in /opt/homebrew /usr/local; do
        [ ! -x $prefix/bin/brew ] || { echo "$(stat -f %Su $prefix/bin/brew) $prefix/bin/brew" && return; }
    done
    return 1
}

brew_as_its_owner() {
    local owner program
    read -r owner program < <(brew_owner)
    sudo -n -H -u "$owner" "$program" "$@" </dev/null
}

packages_install() { # FILE
    local missing said
    missing=$(comm -23 <(tr ' ' '\n' <"$1" | sort -u) <(brew_as_its_owner list --formula -1 | sort) | tr '\n' ' ')
    [ -n "${missing// /}" ] || return 0
    # shellcheck disable=SC2086  # a list of names
    said=$(brew_as_its_owner install $missing 2>&1) ||
        fail "brew could not install $missing: $(tail -n 3 <<<"$said")"
    fact installed "$missing"
}

services_install() { # RELEASE NODE
    local name
    for name in $SERVICE $MONITOR; do
        sed "s/@NODE@/$2/" "$1/launchd/$name.plist" >"$DAEMONS/$name.plist"
        chown root:wheel "$DAEMONS/$name.plist"
        chmod 644 "$DAEMONS/$name.plist"
    done
    install -m 644 "$1/newsyslog.d/pomona.conf" /etc/newsyslog.d/pomona.conf
}

# bootout waits for the running answers, as ExitTimeOut says; a monitor is started where the release has one.
services_restart() {
    local name
    for name in $MONITOR $SERVICE; do launchctl bootout "system/$name" 2>/dev/null || true; done
    launchctl bootstrap system "$DAEMONS/$SERVICE.plist"
    if "$OPT"/current/bin/pomona monitor --help >/dev/null 2>&1; then
        launchctl bootstrap system "$DAEMONS/$MONITOR.plist"
    fi
}

services_remove() {
    local name
    for name in $MONITOR $SERVICE; do
        launchctl bootout "system/$name" 2>/dev/null || true
        rm -f "$DAEMONS/$name.plist"
    done
    rm -f /etc/newsyslog.d/pomona.conf
}
