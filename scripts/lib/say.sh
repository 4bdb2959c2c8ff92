# SPDX-License-Identifier: Apache-2.0
# scripts/lib/say.sh - how the scripts talk: one line a step, colour on terminals only.
# shellcheck shell=bash

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$'\033[1m' DIM=$'\033[2m' RED=$'\033[31m' GREEN=$'\033[32m' PLAIN=$'\033[0m'
else
    BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
say_step() { printf '%s==>%s %s%s%s\n' "$GREEN" "$PLAIN" "$BOLD" "$*" "$PLAIN"; }
say_detail() { printf '    %s%s%s\n' "$DIM" "$*" "$PLAIN"; }

# One sentence, then the end: exit status 1.
die() {
    printf '%s%s: %s%s\n' "$RED" "${0##*/}" "$*" "$PLAIN" >&2
    exit 1
}

# Wrong use: exit status 2.
die_use() {
    printf "%s: %s; try '%s --help'\n" "${0##*/}" "$*" "$0" >&2
    exit 2
}
