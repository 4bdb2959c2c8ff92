#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/build_release.sh - one archive that deploy_production.sh brings to every machine of this platform.
#
#   pomona-VERSION-SYSTEM-MACHINE.tar.gz, beside it .sha256:
#     bin/pomona, and the module of MLX where it was built
#     systemd/ launchd/ newsyslog.d/ logrotate.d/   the services
#     VERSION PLATFORM REQUIRES                     REQUIRES: packages of apt or brew that it runs with
#     SHA256SUMS                                    of all these
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh
. scripts/lib/packages.sh

OUT=dist
BUILD=''
VERSION=''
STAGE=''

usage() {
    cat <<EOT
usage: scripts/build_release.sh [--out DIR] [--version V] [--build DIR]

Build Pomona for this machine's platform and put it into an archive for scripts/deploy_production.sh.

  --out DIR        where the archive goes (default dist)
  --version V      its name (default: of the sources and their commit)
  --build DIR      take the program of this build folder, as it is
  --print-version  say the default name, and do nothing
  -h, --help       show this
EOT
}

# 0.1.0+g1a2b3c4, with .dirty where the tree has changes; without git 0.1.0.
version_of_tree() {
    local version commit
    version=$(sed -n 's/^project(pomona VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
    if commit=$(git rev-parse --short=9 HEAD 2>/dev/null); then
        version=$version+g$commit
        git diff --quiet HEAD 2>/dev/null || version=$version.dirty
    fi
    echo "$version"
}

platform() {
    case $(uname -s) in
    Darwin) echo "macos-$(uname -m)" ;;
    *) echo "linux-$(uname -m)" ;;
    esac
}

build() {
    mkdir -p .cache
    say_step "building release $VERSION for $(platform)"
    packages_install .cache/release-packages.log build
    { cmake --preset release && cmake --build --preset release; } >.cache/release.log 2>&1 || {
        tail -n 30 .cache/release.log >&2
        die "the build failed; its log is .cache/release.log"
    }
    BUILD=build/release
}

# Packages that have the libraries which the program names itself; theirs come with them.
requirements() { # PROGRAM
    local library
    if [ "$(uname -s)" = Darwin ]; then
        packages_names 3 build | grep -vxE 'cmake|ninja|pkgconf'
        return
    fi
    command -v dpkg-query >/dev/null || return 0
    for library in $(objdump -p "$1" 2>/dev/null | awk '$1 == "NEEDED" { print $2 }'); do
        dpkg-query -S "*/$library" 2>/dev/null | sed -n 1p | cut -d: -f1 || true
    done | sort -u
    echo curl # with which a node is asked whether it serves
}

fill() { # FOLDER
    local file
    mkdir -p "$1/bin"
    install -m 755 "$BUILD/pomona" "$1/bin/pomona"
    for file in "$BUILD"/libpomona_mlx.*; do
        [ ! -f "$file" ] || install -m 755 "$file" "$1/bin/"
    done
    cp -R config/systemd config/launchd config/newsyslog.d config/logrotate.d "$1/"
    echo "$VERSION" >"$1/VERSION"
    platform >"$1/PLATFORM"
    requirements "$1/bin/pomona" >"$1/REQUIRES"
    sums "$1"
}

sum() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

sums() { # FOLDER
    (
        cd "$1"
        find . -type f | sort | while IFS= read -r file; do sum "$file"; done >"$STAGE/sums"
    )
    mv "$STAGE/sums" "$1/SHA256SUMS"
}

# Its name is there when it is whole.
pack() {
    local name archive
    name=pomona-$VERSION-$(platform)
    archive=$OUT/$name.tar.gz
    mkdir -p "$OUT"
    fill "$STAGE/$name"
    tar -czf "$archive.partial" -C "$STAGE" "$name"
    (cd "$OUT" && sum "$name.tar.gz.partial" | sed 's/\.partial$//' >"$name.tar.gz.sha256")
    mv "$archive.partial" "$archive"
    say_detail "$archive"
}

while [ $# -gt 0 ]; do
    case $1 in
    --out) OUT=${2:-} && shift ;;
    --version) VERSION=${2:-} && shift ;;
    --build) BUILD=${2:-} && shift ;;
    --print-version) version_of_tree && exit 0 ;;
    -h | --help) usage && exit 0 ;;
    *) die_use "'$1' is not understood" ;;
    esac
    shift || die_use "the last option needs a value"
done
VERSION=${VERSION:-$(version_of_tree)}
case $VERSION in '' | *[!A-Za-z0-9._+]*) die_use "'$VERSION' is no version" ;; esac
[ -n "$OUT" ] || die_use "--out needs a folder"
[ -n "$BUILD" ] || build
[ -x "$BUILD/pomona" ] || die "there is no program in '$BUILD'"
STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
pack
