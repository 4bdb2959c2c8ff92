# SPDX-License-Identifier: Apache-2.0
# scripts/lib/packages.sh - every package that building and testing needs, in one table.
#
# Names differ by platform only; cmake/libraries.cmake says which versions do.
# packages_install installs what is missing and asks for nothing that is there,
# so a second call costs one look at the package database.
# shellcheck shell=bash

# set      Debian and Ubuntu          Homebrew ("-": comes with macOS)
packages_table() {
    cat <<'EOF'
build      gcc                        -
build      libc6-dev                  -
build      cmake                      cmake
build      ninja-build                ninja
build      pkg-config                 pkgconf
build      libevent-dev               libevent
build      libcurl4-openssl-dev       curl
build      libjansson-dev             jansson
build      libcyaml-dev               libcyaml
build      libyaml-dev                libyaml
build      libcjose-dev               cjose
build      libprotobuf-c-dev          protobuf-c
build      protobuf-c-compiler        protobuf-c
build      libutf8proc-dev            utf8proc
build      libxxhash-dev              xxhash
build      libsqlite3-dev             sqlite
build      libssl-dev                 openssl@3
build      libcmocka-dev              cmocka
build      libavahi-compat-libdnssd-dev -
build      -                          mlx
test       libopenmpi-dev             open-mpi
test       openmpi-bin                -
test       openssh-client             -
test       openssh-server             -
run        ca-certificates            -
run        curl                       -
run        procps                     -
run        python3                    python@3.12
run        python3-pip                -
test       git                        -
test       python3-venv               -
test       clang                      -
test       g++                        -
test       prometheus                 prometheus
test       prometheus-alertmanager    -
test       docker-compose             -
test       jq                         jq
test       shellcheck                 shellcheck
test       qemu-user                  -
test       iproute2                   -
test       nftables                   -
test       e2fsprogs                  -
test       mount                      -
test       systemd                    -
test       systemd-container          -
test       debootstrap                -
test       openssh-client             -
test       jq                         -
test       dbus                       -
test       avahi-daemon               -
test       nodejs                     node
test       npm                        -
cross      gcc-aarch64-linux-gnu      -
cross      libc6-dev-arm64-cross      -
EOF
}

# packages_names COLUMN SET...
packages_names() {
    local column=$1 set
    shift
    for set in "$@"; do
        packages_table | awk -v set="$set" -v column="$column" \
            '$1 == set && $column != "-" { print $column }'
    done | sort -u
}

packages_as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed to install packages: run '$*' as root, then this again"
    fi
}

# Node.js comes as Debian's two packages, or as one of its makers that conflicts with these.
packages_is_there_otherwise() {
    case $1 in
    nodejs) command -v node ;;
    npm) command -v npm ;;
    *) return 1 ;;
    esac >/dev/null
}

packages_missing_debian() {
    local name
    for name in $(packages_names 2 "$@"); do
        packages_is_there_otherwise "$name" && continue
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
    done
}

packages_install_debian() {
    local log=$1 missing
    shift
    missing=$(packages_missing_debian "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    say_detail "installing $missing"
    # shellcheck disable=SC2086  # a list of names
    if ! { packages_as_root apt-get update &&
        packages_as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "packages could not be installed; the whole log is in $log"
    fi
}

packages_install_brew() {
    local log=$1 missing
    shift
    command -v brew >/dev/null || die "Homebrew is needed: see https://brew.sh"
    missing=$(comm -23 <(packages_names 3 "$@") <(brew list --formula -1 | sort) | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    say_detail "installing $missing"
    # shellcheck disable=SC2086  # a list of names
    if ! brew install $missing >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "packages could not be installed; the whole log is in $log"
    fi
}

# Libraries that Homebrew keeps out of the way of macOS's own.
packages_find_kegs() {
    local keg prefix
    prefix=$(brew --prefix)
    for keg in curl openssl@3 sqlite; do
        PKG_CONFIG_PATH="$prefix/opt/$keg/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    done
    export PKG_CONFIG_PATH
}

# packages_install LOG SET...: what is missing of build, run, test.
packages_install() {
    if [ "$(uname -s)" = Darwin ]; then
        xcode-select -p >/dev/null 2>&1 || die "the compiler is needed: run 'xcode-select --install'"
        packages_install_brew "$@"
        packages_find_kegs
    elif command -v apt-get >/dev/null; then
        packages_install_debian "$@"
    else
        say_detail "neither apt-get nor brew is here: what README.md lists must be installed already"
    fi
}
