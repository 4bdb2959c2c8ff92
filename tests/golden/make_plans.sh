#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/golden/make_plans.sh - the plans for the shipped cluster, as `pomona plan` shows them.
#
#   tests/golden/make_plans.sh build/dev/pomona >tests/golden/plans.golden
set -euo pipefail
pomona=$(realpath "$1")
cd "$(dirname "$0")/../.."

for model in llama-8b-q4_0 llama-70b-q4_0 gpt-oss-120b; do
    for streams in 1 16; do
        echo "== $model, $streams"
        # a status of 1 says that nothing fits: the table is what is compared
        "$pomona" plan "$model" --cluster config/cluster_nodes.json --streams "$streams" 2>&1 || true
        echo
    done
done
