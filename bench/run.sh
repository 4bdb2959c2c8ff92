#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench/run.sh - measure this machine against llama.cpp and write bench/RESULTS.md.
#
#   bench/run.sh --peers /path/to/llama.cpp/build/bin
#
# Builds Pomona, fetches the real model, makes the random ones (0.8 and 4.7 GB, once), then hands over
# to bench/measure.py, whose options these are.  Takes half an hour on two cores; --help
# tells how to do parts of it.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib/say.sh
. scripts/lib/packages.sh
. scripts/lib/python.sh

LOGS=.cache/bench
mkdir -p "$LOGS"

case " $* " in
*' -h '* | *' --help '*) ;;
*)
    say_step "what is needed"
    packages_install "$LOGS/packages.log" build run test
    { cmake --preset release && cmake --build --preset release; } >"$LOGS/build.log" 2>&1 ||
        { tail -n 20 "$LOGS/build.log" >&2; die "the build failed; the whole log is in $LOGS/build.log"; }
    scripts/fetch_smollm2.sh >/dev/null
    say_step "measuring"
    ;;
esac
python_environment "$LOGS/python.log"
exec .venv/bin/python bench/measure.py "$@"
