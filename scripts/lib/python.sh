# SPDX-License-Identifier: Apache-2.0
# scripts/lib/python.sh - the Python environment of the tests, in .venv.
#
# Made anew when tests/requirements.txt changed since.  A .venv that is a link
# belongs to somebody else and is used as it is.
# shellcheck shell=bash

# python_environment LOG
python_environment() {
    local log=$1 stamp=.venv/requirements.txt
    [ ! -L .venv ] || return 0
    cmp -s tests/requirements.txt "$stamp" && return
    say_detail "making .venv from tests/requirements.txt"
    rm -rf .venv
    if ! { python3 -m venv .venv &&
        .venv/bin/python -m pip --disable-pip-version-check install --quiet --no-deps \
            -r tests/requirements.txt; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        die "the Python environment could not be made; the whole log is in $log"
    fi
    cp tests/requirements.txt "$stamp"
}
