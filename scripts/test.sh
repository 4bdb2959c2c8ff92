#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/test.sh - every check, in one command.
#
# A stage is one ctest run over one preset's build.  All stages run even when
# one fails, so that one run tells everything; the exit status is 1 if any did.
# Tests miss nothing quietly: what they need is installed first, and what they
# still lack makes them fail; what cannot be had (root) is told at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh
. scripts/lib/packages.sh
. scripts/lib/python.sh

LOGS=.cache/test
JOBS=$(getconf _NPROCESSORS_ONLN)
SHARES=$((3 * JOBS)) # of the machine, as cmake/tests.cmake deals them out
FAILED=()
SKIPPED=()
if command -v ccache >/dev/null; then export CMAKE_C_COMPILER_LAUNCHER=ccache; fi

usage() {
    cat <<EOF
usage: scripts/test.sh [--quick | --full]

Install what the tests need, build, and run them.

  --quick     release build: lint, unit and integration tests but those that take long; about 5 minutes
  (default)   all of these, the slow ones and the system tests; unit, fuzz and integration tests
              but the slow ones again under ASan with UBSan, and those of them that have threads
              under TSan; about 25 minutes on two cores
  --full      also the slow ones under the sanitizers and all under TSan, every repetition of the
              failure tests, perplexities and predictions, how long things take, and the
              quickstart in a clean Debian root (on Debian and Ubuntu, as root)
  -h, --help  show this
EOF
}

prepare() {
    case $(uname -m) in
    aarch64 | arm64) ;; # has the compiler for arm64 that others need beside their own
    *) set -- cross "$@" ;;
    esac
    say_step "what the tests need"
    mkdir -p "$LOGS"
    packages_install "$LOGS/packages.log" build run test "$@"
    python_environment "$LOGS/python.log"
    say_detail "$(scripts/fetch_smollm2.sh)"
}

build() {
    local preset=$1
    cmake --preset "$preset" >"$LOGS/build-$preset.log" 2>&1 &&
        cmake --build --preset "$preset" -j "$JOBS" >>"$LOGS/build-$preset.log" 2>&1 && return
    tail -n 40 "$LOGS/build-$preset.log" >&2
    return 1
}

# The tests that ctest's log lists as not run.
skipped() {
    sed -n 's/^[[:space:]]*[0-9]* - \(.*\) (Skipped)$/\1/p' "$1"
}

# stage NAME PRESET CTEST-ARGUMENTS...
stage() {
    local name=$1 preset=$2
    shift 2
    say_step "$name"
    if ! build "$preset"; then
        FAILED+=("$name (build)")
    else
        ctest --test-dir "build/$preset" --no-tests=error --output-on-failure -j "$SHARES" "$@" |
            tee "$LOGS/ctest-$preset.log" || FAILED+=("$name")
        while read -r test; do SKIPPED+=("$test ($preset)"); done < <(skipped "$LOGS/ctest-$preset.log")
    fi
}

stages_quick() {
    stage "release: lint, unit, integration" release -L 'lint|unit|integration' -LE 'full|slow|later'
}

# stages_sanitized LABELS-LEFT-OUT LABELS-LEFT-OUT-UNDER-TSAN
stages_sanitized() {
    stage "ASan and UBSan: unit, fuzz, integration" asan -L 'unit|fuzz|integration' -LE "$1"
    # test_golden is arithmetic alone, and slow there; test_exact has its threads.
    stage "TSan: unit and integration" tsan -L 'unit|integration' -LE "$2" -E test_golden
}

stages_default() {
    stage "release: everything" release -LE full
    stages_sanitized 'full|slow' 'full|slow|one-thread'
}

stages_full() {
    export POMONA_TEST_FULL=1
    stage "release: everything" release -LE 'full|timed'
    stages_sanitized full full
    stage "release: what only --full runs, or judges by the clock" release -L 'full|timed' -j 1
}

STAGES=stages_default
case ${1:-} in
'') ;;
--quick) STAGES=stages_quick ;;
--full) STAGES=stages_full ;;
-h | --help) usage && exit 0 ;;
*) die_use "'$1' is not understood" ;;
esac
[ $# -le 1 ] || die_use "'$2' is one argument too many"

if [ "$STAGES" = stages_full ]; then prepare full; else prepare; fi
"$STAGES"
say
[ "$STAGES" = stages_full ] ||
    say_detail "not run: $([ $STAGES = stages_quick ] && echo 'sanitizers, slow and system tests, ')what only --full runs"
[ ${#SKIPPED[@]} -eq 0 ] ||
    say_detail "skipped, since this machine or user cannot run them (network namespaces need root): $(IFS=,; echo "${SKIPPED[*]}")"
[ ${#FAILED[@]} -eq 0 ] || die "failed: $(IFS=,; echo "${FAILED[*]}")"
say "${GREEN}every stage passed$PLAIN"
