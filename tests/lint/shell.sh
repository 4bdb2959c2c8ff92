#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# tests/lint/shell.sh - shellcheck finds nothing in any script of the tree.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts=(.ci/run)
while IFS= read -r script; do
    scripts+=("$script")
done < <(find scripts tests tools bench -name '*.sh')
shellcheck -x "${scripts[@]}"
