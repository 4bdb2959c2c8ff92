# SPDX-License-Identifier: Apache-2.0
# scripts/lib/deploy/release.sh - which release, where its archives are, and what goes with it to a node.
# shellcheck shell=bash

RELEASE_FILES=() # of --release
DIST=dist

# The tree's own version, as build_release.sh names what it builds.
release_choose() {
    local file
    if [ ${#RELEASE_FILES[@]} -gt 0 ]; then
        for file in "${RELEASE_FILES[@]}"; do
            [ -r "$file" ] || die "there is no release '$file'"
            release_name_check "$file"
        done
        VERSION=$(release_version "${RELEASE_FILES[0]}")
        for file in "${RELEASE_FILES[@]}"; do
            [ "$(release_version "$file")" = "$VERSION" ] || die "'$file' is another version than $VERSION"
        done
        return
    fi
    [ -n "$VERSION" ] || VERSION=$(scripts/build_release.sh --print-version)
    release_file "$(release_platform_here)" >/dev/null ||
        scripts/build_release.sh || die "the release could not be built"
}

# pomona-VERSION-SYSTEM-MACHINE.tar.gz
release_name_check() { # FILE
    case ${1##*/} in
    *[!A-Za-z0-9._+-]*) die "'$1' is not named pomona-VERSION-SYSTEM-MACHINE.tar.gz" ;;
    pomona-*-linux-*.tar.gz | pomona-*-macos-*.tar.gz) ;;
    *) die "'$1' is not named pomona-VERSION-SYSTEM-MACHINE.tar.gz" ;;
    esac
}

release_version() { # FILE
    local name=${1##*/pomona-}
    name=${name#pomona-}
    name=${name%-*-*.tar.gz}
    echo "$name"
}

release_platform_here() {
    case $(uname -s) in
    Darwin) echo "macos-$(uname -m)" ;;
    *) echo "linux-$(uname -m)" ;;
    esac
}

release_file() { # PLATFORM
    local file
    for file in ${RELEASE_FILES[@]+"${RELEASE_FILES[@]}"} "$DIST/pomona-$VERSION-$1.tar.gz"; do
        case $file in
        *"-$1.tar.gz") [ -r "$file" ] && echo "$file" && return ;;
        esac
    done
    return 1
}

# Written beside each archive when it was built; what differs since is not sent.
release_sum() { # FILE
    local sum
    sum=$(if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1)
    [ ! -r "$1.sha256" ] || [ "$(cut -d' ' -f1 "$1.sha256")" = "$sum" ] || return 1
    echo "$sum"
}

# Settings beside the cluster's file, else the tree's own, if there are any.
beside() { # CONFIG NAME
    local file
    for file in "$(dirname "$1")/$2" "config/$2"; do
        if [ -r "$file" ]; then echo "$file" && return; fi
    done
    return 1
}

# What every node gets beside the release, as one archive: the same for all, so made once.
configuration_make() { # CONFIG
    local folder=$RUN/configuration settings
    mkdir -p "$folder/tls"
    cp "$1" "$folder/cluster_nodes.json"
    cp "$GATEWAY_CONFIG" "$folder/api_gateway.yaml"
    if settings=$(beside "$1" health_monitor.yaml); then cp "$settings" "$folder/health_monitor.yaml"; fi
    secrets_make
    cp "$SECRETS/cluster.key" "$folder/cluster.key"
    [ ! -d "$SECRETS/tls" ] || cp "$SECRETS"/tls/* "$folder/tls/"
    [ ! -r "$SECRETS/monitor.env" ] || cp "$SECRETS/monitor.env" "$folder/monitor.env"
    [ ! -r "$SECRETS/api_keys.json" ] || cp "$SECRETS/api_keys.json" "$folder/api_keys.json"
    monitor_settings "$folder"
    if [ ! -e "$folder/monitor.env" ] && grep -Eq '^auth:.*required: *true|^ +required: *true' "$GATEWAY_CONFIG"; then
        say_detail "the API wants keys and there is no $SECRETS/monitor.env: the health monitors will be refused"
    fi
    tar -cf "$RUN/configuration.tar" -C "$folder" .
    chmod 600 "$RUN/configuration.tar"
    rm -rf "$folder"
}

# Where the API speaks HTTPS the monitor has to ask so, and to trust who signed; what its settings say themselves stays.
monitor_settings() { # FOLDER
    local file=$1/health_monitor.yaml
    [ "$SCHEME" = https ] || return 0
    [ -e "$file" ] || : >"$file"
    if ! grep -q '^api_scheme:' "$file"; then
        printf 'api_scheme: https\n' >>"$file"
    elif grep -Eq '^api_scheme: *http *(#.*)?$' "$file"; then
        sed -E 's/^api_scheme: *http( *(#.*)?)$/api_scheme: https\1/' "$file" >"$file.new" && mv "$file.new" "$file"
    fi
    if [ -e "$1/tls/ca.pem" ] && ! grep -q '^api_ca:' "$file"; then
        printf 'api_ca: /etc/pomona/tls/ca.pem\n' >>"$file"
    fi
}

# The cluster's key, made with the first deployment and kept here: 32 random bytes, as `pomona keys cluster`.
secrets_make() {
    mkdir -p "$SECRETS"
    chmod 700 "$SECRETS"
    [ ! -e "$SECRETS/cluster.key" ] || return 0
    (umask 077 && od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n' >"$SECRETS/cluster.key.partial" &&
        echo >>"$SECRETS/cluster.key.partial" && mv "$SECRETS/cluster.key.partial" "$SECRETS/cluster.key")
    say_detail "made the cluster's key, $SECRETS/cluster.key: keep it, and keep it secret"
}

# Everything that a node needs, beside what runs there; no running node is touched.
distribute_to() { # NAME
    local name=$1 file sum
    file=$(release_file "$(node_fact "$name" platform)")
    sum=$(release_sum "$file") || { echo "'$file' is not what its .sha256 says"; return 1; }
    node_run "$name" prepare || return
    if ! node_run "$name" has "$VERSION"; then
        node_put "$name" "/opt/pomona/incoming/$VERSION.tar.gz" <"$file" || return
        node_run "$name" unpack "$VERSION" "$sum" || return
    fi
    node_put "$name" /opt/pomona/incoming/config.tar <"$RUN/configuration.tar" || return
    node_run "$name" stage "$VERSION" "$name" >>"$RUN/$name/facts" || return
    node_run "$name" requirements "$VERSION" >>"$RUN/$name/facts"
}

unstage_from() { node_run "$1" unstage "$(cat "$RUN/$1/target")"; }

# All or none: where one node cannot have it, what was staged on the others goes away again.
distribute() { # NODE...
    say_step "release $VERSION to $*"
    local name
    for name in "$@"; do echo "$VERSION" >"$RUN/$name/target"; done
    if ! nodes_all distribute_to "$@"; then
        nodes_tell_failures "the release could not be brought there"
        nodes_all unstage_from "$@" || true
        say "nothing was changed: every node runs what it ran"
        exit "$EXIT_REFUSED"
    fi
    for name in "$@"; do
        [ -z "$(node_fact "$name" installed)" ] || say_detail "$name: installed $(node_fact "$name" installed)"
    done
}
