#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/check_macos.sh - what only a Mac can show, as a list of checks.
#
# The tests of the tree compile every file for macOS (tests/lint/macos.py) and
# run nothing there.  This is for who has an Apple silicon Mac: it builds, runs
# the unit tests, and computes with MLX on the GPU.  All checks run even when
# one fails; the exit status is 1 if any did.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh
. scripts/lib/packages.sh
. scripts/lib/python.sh

LOGS=.cache/check_macos
JOBS=$(getconf _NPROCESSORS_ONLN)
FAILED=()
MODEL=$PWD/.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
PROMPT="What is the capital of France?"

usage() {
    cat <<EOF2
usage: scripts/check_macos.sh

Build Pomona on a Mac with Apple silicon, run its unit tests, and compute with
MLX on the GPU. Packages that are missing are installed with brew.

  -h, --help     show this
EOF2
}

# check NAME COMMAND...
check() {
    local name=$1 log
    shift
    log=$LOGS/$(printf %s "$name" | tr -c 'a-zA-Z0-9\n' '-').log
    say_step "$name"
    if "$@" >"$log" 2>&1; then
        say_detail "fine"
    else
        FAILED+=("$name")
        tail -n 20 "$log"
        say_detail "failed; the whole log is in $log"
    fi
}

build() {
    cmake --preset release && cmake --build --preset release -j "$JOBS"
}

gpu_of_mlx() {
    .venv/bin/python -c '
import mlx.core as mx
assert mx.metal.is_available(), "MLX finds no GPU"
print(mx.device_info())
x = mx.random.normal((512, 512))
mx.eval(x @ x)'
}

# The two engines round differently, so that late in an answer their words may part.
answer_of() {
    build/release/pomona run "$MODEL" --engine "$1" --temperature 0 -n 16 "$PROMPT"
}

engines_agree() {
    local cpu gpu
    cpu=$(answer_of cpu)
    gpu=$(answer_of mlx)
    printf 'cpu: %s\nmlx: %s\n' "$cpu" "$gpu"
    [ "$cpu" = "$gpu" ]
}

speed() {
    build/release/pomona bench "$MODEL" -r 3
    build/release/pomona bench "$MODEL" -r 3 --engine mlx
}

case ${1:-} in
'') ;;
-h | --help) usage && exit 0 ;;
*) die_use "'$1' is not understood" ;;
esac
if [ "$(uname -s)" != Darwin ] || [ "$(uname -m)" != arm64 ]; then
    die "this is no Mac with Apple silicon; other machines check what they can in scripts/test.sh"
fi

mkdir -p "$LOGS"
say_step "what the checks need"
packages_install "$LOGS/packages.log" build run
python_environment "$LOGS/python.log"
say_detail "$(scripts/fetch_smollm2.sh)"
check "build" build
check "unit tests" ctest --test-dir build/release --no-tests=error --output-on-failure -j "$JOBS" -L unit
check "MLX has a GPU" gpu_of_mlx
check "the engine mlx answers as the engine cpu" engines_agree
check "speed of both engines" speed
say
[ ${#FAILED[@]} -eq 0 ] || die "failed: $(IFS=,; echo "${FAILED[*]}")"
say "${GREEN}every check passed$PLAIN"
