# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/node/common.sh - what is done on a node, as root: releases, configuration, the link.
#
# scripts/deploy_production.sh sends these files, and the one of the node's system, over SSH
# for each verb; nothing of them stays there.  Facts go to standard output as NAME=VALUE, words
# for people to standard error.  Standard input is this text, so no command may read it.
#
#   /opt/pomona/releases/VERSION/      a release: bin/, services, VERSION, SHA256SUMS
#   /opt/pomona/releases/VERSION/etc   the configuration that it runs with; etc.next is staged,
#                                      etc.before is what a failed update goes back to
#   /opt/pomona/current                -> releases/VERSION
#   /opt/pomona/previous               -> the release before
#   /etc/pomona                        -> /opt/pomona/current/etc
# shellcheck shell=bash
set -euo pipefail

OPT=/opt/pomona
RELEASES=$OPT/releases
INCOMING=$OPT/incoming

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

fact() { printf '%s=%s\n' "$1" "$2"; }

# Where a release link points: VERSION, or nothing.
link_version() {
    [ -L "$1" ] || return 0
    basename "$(readlink "$1")"
}

# Put a link in its place in one step: who reads it sees the old one or the new one.
link_replace() {
    ln -s "$1" "$2.new.$$"
    perl -e 'rename($ARGV[0], $ARGV[1]) or die "$!\n"' "$2.new.$$" "$2"
}

# Of the file system that holds a path or will hold it.
free_kb() {
    local path=$1
    while [ ! -e "$path" ]; do path=$(dirname "$path"); done
    df -Pk "$path" | awk 'NR == 2 { print $4 }'
}

sha256_of() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    else
        shasum -a 256 "$1"
    fi | cut -d' ' -f1
}

sha256_check() {
    if command -v sha256sum >/dev/null; then
        sha256sum --quiet -c "$1"
    else
        shasum -a 256 -s -c "$1"
    fi
}

facts_common() { # HOST PORT API_PORT
    fact time "$(perl -MTime::HiRes=time -e 'printf "%.3f", time')"
    fact free_opt_kb "$(free_kb $OPT)"
    fact free_data_kb "$(free_kb "$DATA")"
    fact current "$(link_version $OPT/current)"
    fact previous "$(link_version $OPT/previous)"
    fact kept "$(find $RELEASES -mindepth 1 -maxdepth 1 ! -name '.*' -exec basename {} \; 2>/dev/null | sort | tr '\n' ' ')"
    service_facts
    system_facts "$@"
}

verb_facts() { facts_common "$@"; }

# Before anything is sent: the folders, the user, room in the folder of what comes in.
verb_prepare() {
    user_make
    mkdir -p $RELEASES $INCOMING "$DATA"
    chmod 755 $OPT $RELEASES
    chmod 700 $INCOMING
    chown "$POMONA_USER:$POMONA_GROUP" "$DATA"
    chmod 750 "$DATA"
}

# A release that is here and whole?
verb_has() { # VERSION
    [ -d "$RELEASES/$1" ] && (cd "$RELEASES/$1" && sha256_check SHA256SUMS) >/dev/null 2>&1
}

# The archive in INCOMING becomes a release, or nothing is left of it.
verb_unpack() { # VERSION SHA256
    local version=$1 archive=$INCOMING/$1.tar.gz partial=$RELEASES/.partial.$1
    # shellcheck disable=SC2064  # as they are now: at the end of the script they are gone
    trap "rm -rf '$partial' '$archive'" EXIT
    [ "$(sha256_of "$archive")" = "$2" ] || fail "the release did not arrive whole: its SHA-256 differs"
    rm -rf "$partial"
    mkdir "$partial"
    tar -xzf "$archive" -C "$partial" --strip-components 1 || fail "the release could not be unpacked"
    (cd "$partial" && sha256_check SHA256SUMS) || fail "the release is damaged: a file of it differs from SHA256SUMS"
    chown -R 0:0 "$partial"
    chmod -R u+rwX,go+rX,go-w "$partial"
    sync
    rm -rf "${RELEASES:?}/$version"
    mv "$partial" "$RELEASES/$version"
}

# What the release needs is installed, and then its program runs here.
verb_requirements() { # VERSION
    local release=$RELEASES/$1 said
    packages_install "$release/REQUIRES"
    said=$("$release/bin/pomona" version 2>&1) || fail "bin/pomona of the release does not run here: $said"
    fact says "$said"
}

# The configuration in INCOMING is staged beside the one that is in force: "same" or "changed".
verb_stage() { # VERSION NODE
    local release=$RELEASES/$1 archive=$INCOMING/config.tar
    local next=$release/etc.next
    rm -rf "$next"
    mkdir "$next"
    tar -xf "$archive" -C "$next"
    rm -f "$archive"
    printf 'POMONA_NODE=%s\n' "$2" >"$next/node.env"
    chown -R "0:$POMONA_GROUP" "$next"
    find "$next" -type d -exec chmod 750 {} +
    find "$next" -type f -exec chmod 640 {} +
    chown "$POMONA_USER:$POMONA_GROUP" "$next/cluster.key" # the program wants it to be nobody else's
    chmod 400 "$next/cluster.key"
    if [ -d "$release/etc" ] && diff -rq "$release/etc" "$next" >/dev/null; then
        rm -rf "$next"
        fact configuration same
    else
        fact configuration changed
    fi
}

verb_unstage() { # VERSION
    rm -rf "$RELEASES/$1/etc.next" "$RELEASES/.partial.$1" "${INCOMING:?}"/*
}

# From now on this release, with what is staged for it; the one before is remembered.
verb_switch() { # VERSION NODE
    local version=$1 release=$RELEASES/$1 now
    now=$(link_version $OPT/current)
    rm -rf "$release/etc.before"
    if [ -d "$release/etc.next" ]; then
        [ ! -d "$release/etc" ] || mv "$release/etc" "$release/etc.before"
        mv "$release/etc.next" "$release/etc"
    fi
    [ -d "$release/etc" ] || fail "no configuration was staged for release $version"
    rm -f $OPT/previous.before
    if [ -n "$now" ] && [ "$now" != "$version" ]; then
        [ ! -L $OPT/previous ] || cp -P $OPT/previous $OPT/previous.before
        link_replace "releases/$now" $OPT/previous
    fi
    link_replace "releases/$version" $OPT/current
    configuration_link
    api_keys_install "$release"
    services_install "$release" "$2"
    services_restart
}

# The API's keys that the deployment keeps are those of every node; where it keeps none, the node's own stay.
api_keys_install() { # RELEASE
    [ ! -f "$1/etc/api_keys.json" ] ||
        install -o "$POMONA_USER" -g "$POMONA_GROUP" -m 600 "$1/etc/api_keys.json" "$DATA/api_keys.json"
}

# Back to what was before verb_switch(): a release, the same one with its old configuration, or nothing.
verb_revert() { # VERSION BEFORE NODE
    local release=$RELEASES/$1 before=$2
    if [ -d "$release/etc.before" ]; then
        rm -rf "${release:?}/etc"
        mv "$release/etc.before" "$release/etc"
    fi
    if [ -z "$before" ]; then
        services_remove
        rm -f $OPT/current $OPT/previous $OPT/previous.before /etc/pomona
        return
    fi
    link_replace "releases/$before" $OPT/current
    if [ "$(link_version $OPT/previous)" = "$before" ]; then rm -f $OPT/previous; fi
    [ ! -L $OPT/previous.before ] || mv -f $OPT/previous.before $OPT/previous
    api_keys_install "$RELEASES/$before"
    services_install "$RELEASES/$before" "$3"
    services_restart
}

configuration_link() {
    [ -L /etc/pomona ] || [ ! -e /etc/pomona ] ||
        fail "/etc/pomona is no link: move away what is in it, it would be hidden"
    link_replace $OPT/current/etc /etc/pomona
}

# Releases beyond the newest KEEP; neither the current one nor the one before.
verb_prune() { # KEEP
    local kept=0 release version
    find $RELEASES -mindepth 1 -maxdepth 1 -name '.partial.*' -exec rm -rf {} +
    # shellcheck disable=SC2012,SC2045  # names of releases have no odd characters
    for release in $(ls -1dt $RELEASES/*/ 2>/dev/null); do
        version=$(basename "$release")
        kept=$((kept + 1))
        if [ "$kept" -le "$1" ] || [ "$version" = "$(link_version $OPT/current)" ] ||
            [ "$version" = "$(link_version $OPT/previous)" ]; then
            continue
        fi
        rm -rf "${RELEASES:?}/$version"
        fact pruned "$version"
    done
}

# HTTP of the node's own API; a key comes from the environment.  What it answered, then its status.  While an update
# brings HTTPS, or takes it away, nodes that it has not come to speak the other.
api() { # METHOD URL [BODY]
    local method=$1 url=$2 status=0
    shift 2
    api_once "$method" "$url" "$@" || status=$?
    case $status:$url in
    35:https:*) api_once "$method" "http:${url#https:}" "$@" ;; # no TLS there
    1:http:* | 52:http:* | 56:http:*) api_once "$method" "https:${url#http:}" "$@" ;;
    *) return "$status" ;;
    esac
}

api_once() { # METHOD URL [BODY]
    local options=(-sS -k --noproxy '*' --max-time "${API_SECONDS:-10}" -X "$1" -w '\n%{http_code}')
    [ $# -lt 3 ] || options+=(-H 'Content-Type: application/json' -d "$3")
    if [ -n "${POMONA_API_KEY:-}" ]; then
        printf 'header = "Authorization: Bearer %s"\n' "$POMONA_API_KEY" | curl "${options[@]}" -K - "$2"
    else
        curl "${options[@]}" "$2"
    fi
}

verb_api() { api "$@"; }

# Of the JSON that /health answers; it has no other numbers of these names.
health_number() { # JSON NAME
    local number
    number=$(printf '%s' "$1" | sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p")
    echo "${number:-0}"
}

# Is the node what the update waits for?  The first thing that is lacking.
lacking() { # URL NODES INSTANCES RELEASE
    local answer running
    running=$(service_release)
    [ -n "$running" ] || { echo "the service does not run"; return; }
    [ "$running" = "$4" ] || { echo "it runs release $running"; return; }
    answer=$(api GET "$1/readyz" 2>&1) || { echo "its API does not answer"; return; }
    [ "${answer##*$'\n'}" = 200 ] || { echo "it is not ready: $(head -c 200 <<<"$answer")"; return; }
    [ "$(health_number "$answer" nodes_alive)" -ge "$2" ] ||
        { echo "it sees $(health_number "$answer" nodes_alive) of $2 nodes"; return; }
    [ "$(health_number "$answer" instances_ready)" -ge "$3" ] ||
        { echo "it sees $(health_number "$answer" instances_ready) of $3 instances ready"; return; }
}

# Wait for a node that serves, and go on serving for three looks.  A service that crashes is not waited
# for to its deadline.
verb_gate() { # URL NODES INSTANCES RELEASE SECONDS
    local until=$((SECONDS + $5)) starts_before why good=0
    starts_before=$(service_restarts)
    while [ "$good" -lt 3 ]; do
        why=$(lacking "$1" "$2" "$3" "$4")
        if [ -z "$why" ]; then good=$((good + 1)); else good=0; fi
        [ $(($(service_restarts) - starts_before)) -lt 3 ] || gate_failed "it crashes when it starts"
        [ "$SECONDS" -lt "$until" ] || gate_failed "after $5 s: $why"
        sleep 0.5
    done
}

gate_failed() {
    echo "$1" >&2
    service_log 12 >&2
    exit 1
}

# One short answer of a model, as a client gets it: HTTP 200 and some tokens.
verb_complete() { # URL MODEL
    API_SECONDS=180 api POST "$1/v1/chat/completions" \
        "{\"model\":\"$2\",\"max_tokens\":8,\"temperature\":0,\"messages\":[{\"role\":\"user\",\"content\":\"Say hello.\"}]}"
}

# What is said in the machine's own log, too: the story of each change.
verb_say() { logger -t pomona-deploy -- "$*" || true; }
